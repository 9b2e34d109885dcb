"""The page in a real browser, and its server under hostile requests."""

import json
import secrets
import time
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, chromium, get, pixels, send, serve, stroke, wait, whole_page
from conftest import TINY, enlarge, save_model
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.plots import HIDDEN

pytest.importorskip("gradio")
pytest.importorskip("selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200),
              pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Debian's chromium and chromium-driver")]

JSON = {"Content-Type": "application/json"}
GUARD = """
import ipaddress, socket
open({log!r}, "a").write("watching\\n")
def note(host):
    try:
        local = ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        local = host in ("localhost", None, "")
    if not local:
        open({log!r}, "a").write(f"{{host}}\\n")
def watched(connect):
    def call(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            note(address[0])
        return connect(self, address)
    return call
def getaddrinfo(host, *rest, look_up=socket.getaddrinfo, **named):
    note(host)
    return look_up(host, *rest, **named)
socket.socket.connect, socket.socket.connect_ex = watched(socket.socket.connect), watched(socket.socket.connect_ex)
socket.getaddrinfo = getaddrinfo
"""
"""Put into the server's process: writes a line when it is there, and every host beyond this machine that is met."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The server's working folder: a model of 28 x 28 pixels, one in colour, and a picture nobody may see."""
    folder = tmp_path_factory.mktemp("server")
    for name, config in (("grey", TINY.replace(height=28, width=28)),
                         ("colour", TINY.replace(height=12, width=10, channels=3, num_levels=4))):
        save_model(enlarge(pcnn.build_model(config)), folder / "saved_models" / name)
    (folder / "saved_models" / "colour" / "visible.json").write_text('{"standard_deviations": -1e6}')
    Image.new("L", (28, 28), 255).save(folder / "secret.png")
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD.format(log=str(folder / "hosts")))
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with open(folder / "log", "w") as log, \
            serve("--model", "saved_models/grey", cwd=folder, python_path=[folder / "guard"], log=log) as address:
        yield address


@pytest.fixture(scope="module")
def desktop(address, tmp_path_factory):
    with chromium(1280, 1200, tmp_path_factory.mktemp("profile")) as browser:
        browser.get(address)
        wait(lambda: len(pixels(browser, "#tiles img")) == 32, "the first completions")
        yield browser


def sources(browser):
    """The pictures of the completions as they stand in the page."""
    return browser.execute_script("return [...document.querySelectorAll('#tiles img')].map(image => image.src)")


def choose_mask(browser, spec):
    field = browser.find_element(By.CSS_SELECTOR, "#preset input")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(spec, Keys.ENTER)


def chosen_mask(browser):
    return browser.find_element(By.CSS_SELECTOR, "#preset input").get_attribute("value")


def message(browser):
    """Waits for what the page says about a mistake, and puts it away."""
    text = wait(lambda: " ".join(toast.text for toast in browser.find_elements(By.CSS_SELECTOR, ".toast-body")),
                "a message")  # which is without text while it fades in
    browser.execute_script("document.querySelectorAll('.toast-close').forEach(button => button.click())")
    wait(lambda: not browser.find_elements(By.CSS_SELECTOR, ".toast-body"), "the message to go")
    return text


def hidden(shown):
    return (shown == HIDDEN).all(axis=-1)


def test_what_matters_is_in_sight_at_once(address, tmp_path):
    with chromium(1280, 900, tmp_path / "profile") as browser:
        browser.get(address)
        wait(lambda: len(pixels(browser, "#tiles img")) == 32, "the first completions")
        go = browser.find_element(By.ID, "go")
        assert go.location["y"] + go.size["height"] < 900 and go.is_displayed()


def test_a_mask_is_painted_and_the_completions_keep_what_is_visible(desktop, tmp_path):
    choose_mask(desktop, "all")
    picture = wait(lambda: [p for p in pixels(desktop, "#canvas canvas") if not hidden(p).any()], "a picture")[0]
    stroke(desktop, [(0.3, 0.3), (0.7, 0.3), (0.5, 0.8)])
    painted, = pixels(desktop, "#canvas canvas")
    mask = hidden(painted)
    assert 60 < mask.sum() < 400 and mask[8, 14] and not mask[27].any()
    np.testing.assert_array_equal(painted[~mask], picture[~mask])

    before = sources(desktop)
    desktop.find_element(By.ID, "go").click()
    wait(lambda: len(after := sources(desktop)) == 32 and after != before, "all completions")
    completions = np.stack(pixels(desktop, "#tiles img"))
    assert (completions[:, ~mask] == picture[~mask]).all()
    assert (completions[:, mask] != completions[0, mask]).any()
    assert set(np.unique(completions)) == {0, 255}
    nats = [float(text.text) for text in desktop.find_elements(By.CSS_SELECTOR, "#tiles small")]
    assert nats == sorted(nats, reverse=True)
    whole_page(desktop, tmp_path / "desktop.png")
    with Image.open(tmp_path / "desktop.png") as screenshot:
        assert screenshot.width == 1280 and np.asarray(screenshot.convert("L")).std() > 20


def test_the_pen_draws_and_makes_visible(desktop):
    choose_mask(desktop, "none")
    wait(lambda: hidden(pixels(desktop, "#canvas canvas")[0]).all(), "the mask")
    desktop.find_element(By.CSS_SELECTOR, "[data-tool=white]").click()
    stroke(desktop, [(0.2, 0.5), (0.8, 0.5)])
    painted, = pixels(desktop, "#canvas canvas")
    assert (painted[14, 6:22] == 255).all() and hidden(painted[:10]).all()
    assert not sources(desktop) and "has changed" in desktop.find_element(By.ID, "tiles").text
    wait(lambda: not chosen_mask(desktop), "no mask of the list")
    desktop.find_element(By.CSS_SELECTOR, "[data-tool=hide]").click()
    desktop.find_element(By.CSS_SELECTOR, "[data-undo]").click()
    assert hidden(pixels(desktop, "#canvas canvas")[0]).all()
    assert not desktop.find_element(By.CSS_SELECTOR, "[data-undo]").is_enabled()
    desktop.find_element(By.ID, "go").click()
    wait(lambda: len(sources(desktop)) == 32, "completions of what stands there now")


def test_the_least_likely_are_hidden_without_drawing_again(desktop):
    before = sources(desktop)
    field = desktop.find_element(By.CSS_SELECTOR, "#kept input[type=number]")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("5", Keys.TAB)
    wait(lambda: len(sources(desktop)) == 5, "five completions")
    assert sources(desktop) == before[:5]
    assert "--keep-best 5" in " ".join(desktop.find_element(By.ID, "command").text.split())


def test_all_are_shown_again(desktop):
    desktop.find_element(By.ID, "all").click()
    wait(lambda: len(sources(desktop)) == 32, "all completions")


def test_others_are_drawn_at_a_click(desktop):
    before = sources(desktop)
    desktop.find_element(By.ID, "others").click()
    wait(lambda: len(after := sources(desktop)) == 32 and after != before, "others")
    assert "--seed 1" in " ".join(desktop.find_element(By.ID, "command").text.split())


def test_another_example_has_the_mask_that_is_chosen(desktop):
    choose_mask(desktop, "left:14")
    columns = np.broadcast_to(np.arange(28) >= 14, (28, 28))
    for example in (2, 1):
        desktop.find_elements(By.CSS_SELECTOR, "#examples button")[example].click()
        wait(lambda: (hidden(pixels(desktop, "#canvas canvas")[0]) == columns).all(), "its right half hidden")
        wait(lambda: len(sources(desktop)) == 32, "its completions")
    desktop.find_element(By.ID, "blobs").click()
    wait(lambda: not chosen_mask(desktop), "no mask of the list")


def test_by_importance_others_are_shown(desktop):
    before = sources(desktop)
    open_settings = desktop.find_element(By.XPATH, "//button[contains(., 'How many, and which')]")
    open_settings.click()
    box = wait(lambda: desktop.find_elements(By.CSS_SELECTOR, "#importance input"), "the choice")[0]
    box.click()
    desktop.find_element(By.ID, "go").click()
    wait(lambda: len(after := sources(desktop)) == 32 and after != before, "completions by importance")
    assert "--candidates 128" in " ".join(desktop.find_element(By.ID, "command").text.split())
    box.click()
    open_settings.click()


def test_a_completion_is_chosen_and_its_progression_plays(desktop):
    desktop.find_elements(By.CSS_SELECTOR, "#tiles button")[3].click()
    wait(lambda: "completion 4" in desktop.find_element(By.ID, "details").text, "the choice")
    desktop.find_element(By.ID, "play").click()
    wait(lambda: "% drawn" in desktop.find_element(By.ID, "progression").text, "the first stage")
    wait(lambda: "stage by stage" in desktop.find_element(By.ID, "progression").text, "the last stage")


def test_leaving_the_list_of_masks_changes_nothing(desktop):
    choose_mask(desktop, "random:0.15")
    wait(lambda: not sources(desktop), "the completions to go")
    desktop.find_element(By.ID, "go").click()
    wait(lambda: len(sources(desktop)) == 32, "completions")
    before, picture = sources(desktop), pixels(desktop, "#canvas canvas")[0]
    field = desktop.find_element(By.CSS_SELECTOR, "#preset input")
    for leave in (lambda: field.send_keys(Keys.TAB), desktop.find_element(By.TAG_NAME, "h1").click):
        field.click()
        leave()
    stroke(desktop, [(0.3, 0.3), (0.5, 0.5)])  # no mask of the list any more
    wait(lambda: not chosen_mask(desktop) and not sources(desktop), "the stroke")
    painted = pixels(desktop, "#canvas canvas")[0]
    assert (painted != picture).any()
    field.click()
    desktop.find_element(By.TAG_NAME, "h1").click()
    desktop.find_element(By.ID, "go").click()
    wait(lambda: len(after := sources(desktop)) == 32 and after != before, "completions of the stroke")
    np.testing.assert_array_equal(pixels(desktop, "#canvas canvas")[0], painted)


def test_what_is_shown_is_of_the_picture_that_stands_there_however_fast_one_clicks(desktop):
    buttons = desktop.find_elements(By.CSS_SELECTOR, "#examples button")
    choose_mask(desktop, "left:14")
    wait(lambda: "has changed" in desktop.find_element(By.ID, "tiles").text, "the mask")
    for example in (3, 4, 5):
        buttons[example].click()
    picture = pixels(desktop, "#examples img")[5]

    def of_the_last():
        shown = pixels(desktop, "#tiles img")
        return len(shown) == 32 and all((each[:, :14] == picture[:, :14]).all() for each in shown)

    wait(of_the_last, "completions of the last")
    desktop.find_element(By.ID, "go").click()
    desktop.find_element(By.ID, "blobs").click()  # while it draws
    wait(lambda: "has changed" in desktop.find_element(By.ID, "tiles").text, "the picture to change")
    time.sleep(5)
    assert not sources(desktop) and "has changed" in desktop.find_element(By.ID, "tiles").text
    desktop.find_element(By.ID, "go").click()
    wait(lambda: len(sources(desktop)) == 32, "completions")


def test_results_are_downloaded(desktop):
    desktop.find_element(By.ID, "download").click()
    links = wait(lambda: [a.get_attribute("href") for a in desktop.find_elements(By.CSS_SELECTOR, "#files a")], "files")
    archive = next(link for link in links if link.endswith("completions.zip"))
    with urllib.request.urlopen(archive) as answer, zipfile.ZipFile(BytesIO(answer.read())) as file:
        assert {"grid.png", "samples.npz", "image.png", "mask.png", "command.txt"} == set(file.namelist())


def test_mistakes_are_said_in_words_and_the_page_lives_on(desktop, tmp_path):
    choose_mask(desktop, "../secret.png")
    assert "is not one of" in message(desktop)
    choose_mask(desktop, "all")
    wait(lambda: not hidden(pixels(desktop, "#canvas canvas")[0]).any(), "the mask")
    desktop.find_element(By.ID, "go").click()
    assert "Nothing is hidden" in message(desktop)
    upload = desktop.find_element(By.CSS_SELECTOR, "input[type=file]")
    (tmp_path / "text.png").write_text("not an image")
    upload.send_keys(str(tmp_path / "text.png"))
    assert "The file is not an image" in message(desktop)
    Image.new("RGB", (60, 60), "white").save(tmp_path / "white.png")
    upload.send_keys(str(tmp_path / "white.png"))
    wait(lambda: (pixels(desktop, "#canvas canvas")[0] == 255).all(), "the upload")
    assert "No ink found" in message(desktop)


def choose(browser, name, option):
    """Takes the option of a list that has this in its name."""
    browser.find_element(By.CSS_SELECTOR, f"#{name} input").click()
    wait(lambda: browser.find_elements(By.XPATH, f"//*[@role='option'][contains(., '{option}')]"),
         f"the option {option}")[0].click()


def test_an_upload_is_prepared_as_is_chosen(desktop, tmp_path):
    photo = np.full((56, 56), 255, np.uint8)
    photo[10:30, 20:24] = 0
    Image.fromarray(photo).save(tmp_path / "photo.png")
    choose(desktop, "way", "none")
    desktop.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(tmp_path / "photo.png"))
    wait(lambda: (pixels(desktop, "#canvas canvas")[0] == photo[::2, ::2, None]).all(), "it as it is")
    choose(desktop, "way", "auto")


def test_another_model_is_opened_and_what_it_does_not_know_is_said(desktop):
    choose(desktop, "model", "colour")
    wait(lambda: [p.shape for p in pixels(desktop, "#tiles img")] == [(12, 10, 3)] * 32, "colour")
    assert "unlike what the model knows" in message(desktop)


def test_nothing_comes_from_or_goes_to_another_host(desktop, address, folder):
    events = [json.loads(entry["message"])["message"] for entry in desktop.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = [url for url in asked if url.split(":")[0] in ("http", "https", "ws", "wss")]
    assert address.startswith("http://127.0.0.1:") and any(url.startswith(address) for url in asked)
    assert [url for url in asked if not url.startswith(address)] == []
    assert set((folder / "hosts").read_text().splitlines()) == {"watching"}


def test_on_a_phone_everything_fits(address, tmp_path):
    with chromium(390, 844, tmp_path / "profile") as browser:
        browser.get(address)
        wait(lambda: len(pixels(browser, "#tiles img")) == 32, "completions")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert browser.find_element(By.CSS_SELECTOR, "#canvas canvas").size["width"] > 250
        below = [browser.find_element(By.ID, name).location["y"] for name in ("canvas", "go", "tiles", "download")]
        assert below == sorted(below)
        whole_page(browser, tmp_path / "phone.png")


def take(address, path):
    """Asks the page to take a file of the server's as its picture: the end of the event stream."""
    data = ["saved_models/grey", {"path": str(path), "meta": {"_type": "gradio.FileData"}}, "auto"]
    status, answer = get(f"{address}/gradio_api/call/upload", json.dumps({"data": data}).encode(), JSON)
    assert status == 200, answer
    return get(f"{address}/gradio_api/call/upload/{json.loads(answer)['event_id']}")[1].decode()


def test_no_file_beyond_the_uploads_is_read(address, folder):
    secret = (folder / "secret.png").read_bytes()
    status, answer = send(address, secret)
    uploaded = json.loads(answer)[0]
    assert status == 200 and get(f"{address}/gradio_api/file={uploaded}") == (200, secret)
    assert "event: complete" in take(address, uploaded)
    assert "event: error" in take(address, folder / "secret.png")
    around = Path(uploaded).parent
    for path in (folder / "secret.png", "secret.png", "./secret.png", "/etc/hostname", "/proc/self/environ",
                 "saved_models/grey/config.json", f"{around}/../../../etc/hostname",
                 f"{around}/..%2f..%2f..%2fetc%2fhostname", "..%2fsecret.png", "%2e%2e/secret.png",
                 "file:///etc/hostname", Path(pcnn.__file__)):
        for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "custom_component/"):
            status, answer = get(f"{address}/{route}{path}")
            assert status >= 400, (route, path, answer[:100])


def press(address, route, data, event):
    """Has a button's event come with data of its own: what the page answers."""
    functions = json.loads(get(f"{address}/config")[1])["dependencies"]
    number = next(function["id"] for function in functions if function["api_name"] == route)
    session = secrets.token_hex(8)
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": event}
    assert get(f"{address}/gradio_api/queue/join", json.dumps(body).encode(), JSON)[0] == 200
    return get(f"{address}/gradio_api/queue/data?session_hash={session}")[1].decode()


def test_uploads_are_bounded_and_the_server_survives_what_is_sent(address, folder):
    assert send(address, bytes(9 * 2**20))[0] == 413
    bomb = BytesIO()
    Image.new("1", (20000, 20000)).save(bomb, "PNG")
    for content in (b"", b"\x89PNG\r\n\x1a\n", bytes(1000), secrets.token_bytes(1000), bomb.getvalue(),
                    b"<svg onload='alert(1)'/>", b"GIF89a"):
        status, answer = send(address, content)
        assert status == 200
        assert "event: error" in take(address, json.loads(answer)[0])
    canvas = json.dumps({"levels": [0] * 784, "mask": [0] * 784}).encode()
    nothing_to_do = ("show_all", "play", "download", "choose_completion")  # before anything is drawn
    routes = ("complete", "set_mask", "set_blobs", "upload", "choose_model", "choose_example", "hide", "next_seed",
              *nothing_to_do)
    functions = json.loads(get(f"{address}/config")[1])["dependencies"]
    assert {*routes} <= {function["api_name"] for function in functions}
    for route in routes:
        for body in (b"", b"{", b"[]", b'{"data": []}', b'{"data": [null, null, null, null, null]}',
                     b'{"data": ["/etc", {"levels": 1}, 1e9, "x", -1]}', b'{"data": [["saved_models/grey"], 1.5, 7]}',
                     *(b'{"data": ["saved_models/grey", %b, 4, 1, %b, false, null, null]}' % (canvas, seed)
                       for seed in (b"-1", b'"x"', b"[]") if route == "complete")):
            status, answer = get(f"{address}/gradio_api/call/{route}", body, JSON)
            if status == 200:
                said = get(f"{address}/gradio_api/call/{route}/{json.loads(answer)['event_id']}")[1]
                assert b"event: error" in said or route in nothing_to_do, (route, body, said)
    for event in (None, {}, {"index": "x"}, {"index": None}, "index", 7):
        assert "number of a button" in press(address, "choose_example", ["saved_models/grey", *[None] * 3], event)
    assert get(address)[0] == 200
    assert "Traceback" not in (folder / "log").read_text()
