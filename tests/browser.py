"""The page of `pcnn_keras.demo`, served, and in a real browser: what its tests share.

`python tests/browser.py --model saved_models/mnist --output docs/figures/demo.png` takes the picture of docs/usage.md.
"""

import argparse
import contextlib
import io
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync").split()
PATIENCE = float(os.environ.get("PCNN_PATIENCE", 60))
"""Seconds to wait for what takes a moment; more of them on a busy machine."""


@contextlib.contextmanager
def serve(*flags, cwd=ROOT, python_path=(), log=None):
    """Runs `python -m pcnn_keras.demo` in a process of its own; gives its address, and ends it with SIGTERM.

    `log` is a file for its standard error.
    SIGINT would not do: what a shell starts with `&` ignores it, and so does all that this starts.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*python_path, ROOT)))}
    process = subprocess.Popen([sys.executable, "-m", "pcnn_keras.demo", *map(str, flags)], cwd=cwd, env=environment,
                               stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        found = (re.match(r"Open (http\S+?)/? in", line) for line in process.stdout)
        yield next(match[1] for match in found if match)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()


def get(url, data=None, headers=()):
    """Status and body, whatever the status."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, dict(headers)), timeout=100) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def send(address, content):
    """Uploads a file as the page does."""
    line = secrets.token_hex(8)
    body = (f'--{line}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n').encode() + content
    return get(f"{address}/gradio_api/upload", body + f"\r\n--{line}--\r\n".encode(),
               {"Content-Type": f"multipart/form-data; boundary={line}"})


@contextlib.contextmanager
def chromium(width, height, folder):
    """A headless Chromium with a profile of its own, all of whose requests are logged."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
        yield browser
    finally:
        browser.quit()


def wait(condition, what):
    """Waits until `condition()` is true, and returns what it returned."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if outcome := condition():
            return outcome
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def pixels(browser, selector):
    """What an image or a canvas shows: a list of RGB `(height, width, 3)`, of all that match the selector."""
    found = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(shown => {"
        " const canvas = document.createElement('canvas');"
        " canvas.width = shown.naturalWidth || shown.width; canvas.height = shown.naturalHeight || shown.height;"
        " const context = canvas.getContext('2d'); context.drawImage(shown, 0, 0);"
        " return [[...context.getImageData(0, 0, canvas.width, canvas.height).data], canvas.height, canvas.width]; })",
        selector)
    return [np.array(data, np.uint8).reshape(height, width, 4)[..., :3] for data, height, width in found]


def stroke(browser, points):
    """Paints a line through points, given as shares of the picture's width and height, with a real pointer."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    canvas = browser.find_element(By.CSS_SELECTOR, "#canvas canvas")
    width, height = canvas.size["width"], canvas.size["height"]
    places = [(round((x - 0.5) * width), round((y - 0.5) * height)) for x, y in points]
    actions = ActionChains(browser).move_to_element_with_offset(canvas, *places[0]).click_and_hold()
    for place in places[1:]:
        actions.move_to_element_with_offset(canvas, *place)
    actions.release().perform()


def whole_page(browser, path):
    """Saves a screenshot from top to bottom."""
    height = browser.execute_script("return document.querySelector('.gradio-container').scrollHeight")
    width = browser.execute_script("return window.innerWidth")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
    time.sleep(0.5)
    with Image.open(io.BytesIO(browser.get_screenshot_as_png())) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description="Takes the picture of the page in docs/usage.md.")
    parser.add_argument("--model", default="saved_models/mnist")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "figures" / "demo.png")
    flags = parser.parse_args()

    from selenium.webdriver.common.by import By

    with (tempfile.TemporaryDirectory() as folder, serve("--model", flags.model) as address,
          chromium(flags.width, 1000, folder) as browser):
        browser.get(address)
        wait(lambda: len(pixels(browser, "#tiles img")) == 32, "the first completions")
        browser.find_element(By.ID, "play").click()
        wait(lambda: "stage by stage" in browser.find_element(By.ID, "progression").text, "the progression")
        whole_page(browser, flags.output)
    print(f"Wrote {flags.output}.")


if __name__ == "__main__":
    main()
