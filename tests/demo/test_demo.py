"""What the page is made of, without Gradio; the page itself is met in test_demo_page.py."""

import base64
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError
from io import BytesIO
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from browser import send, serve
from conftest import ROOT, TINY, enlarge, save_model
from packaging.requirements import Requirement
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.commands.demo import check_host, find_models
from pcnn_keras.data.masks import parse_mask
from pcnn_keras.data.pixels import to_bytes
from pcnn_keras.demo import parts as demo_parts
from pcnn_keras.evaluation.classifier import build_classifier, classify

CONFIG = TINY.replace(height=8, width=10, num_levels=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of 8 x 10 pixels and 3 levels, without examples."""
    folder = tmp_path_factory.mktemp("tiny")
    save_model(enlarge(pcnn.build_model(CONFIG)), folder)
    return folder


@pytest.fixture(scope="module")
def opened(folder):
    return demo_parts.open_model(folder)


@pytest.fixture(scope="module")
def results(opened):
    """Twenty completions of an example of which the left half is visible: the first few, then all."""
    mask = demo_parts.make_mask("left:5", CONFIG, 0)
    return list(demo_parts.complete(opened, opened.examples[0], mask, 20, 0.5, 7))


def shown(html):
    """The pictures in an HTML text as arrays."""
    sources = re.findall('<img[^>]* src="data:image/png;base64,([^"]*)"', html)
    return [np.asarray(Image.open(BytesIO(base64.b64decode(source)))) for source in sources]


def test_models_are_found_the_asked_for_first(tmp_path):
    home = tmp_path / "saved_models"
    there = sorted(path.parent.name for path in (ROOT / "saved_models").glob("*/model.keras"))
    there.remove("mnist")
    assert [folder.name for folder in find_models(home=home)] == ["mnist", *there]  # those that ship
    for name in ("digits", "half", "mnist", "own"):
        (home / name).mkdir(parents=True)
        CONFIG.save(home / name / "config.json")
        if name != "half":
            (home / name / "model.keras").touch()
    others = [ROOT / "saved_models" / name for name in there if name != "digits"]
    assert find_models(home=home) == [home / "mnist", home / "digits", home / "own", *others]
    assert find_models(home / "own", home) == [home / "own", home / "digits", home / "mnist", *others]
    (home / "mnist" / "model.keras").unlink()
    assert find_models(home=home)[0] == ROOT / "saved_models" / "mnist"
    with pytest.raises(pcnn.InputError, match="not the folder"):
        find_models(tmp_path, home)


def test_without_examples_the_model_draws_some_and_with_them_it_does_not(opened, tmp_path, monkeypatch):
    nothing = np.zeros((8, 10, 1), int)
    np.testing.assert_array_equal(opened.examples, pcnn.inpaint(opened.model, nothing, nothing, 8).samples)
    monkeypatch.setattr(demo_parts, "load", lambda _: opened.model)  # the same, with examples beside it
    (tmp_path / "examples").mkdir()
    Image.new("L", (10, 8), 255).save(tmp_path / "examples" / "white.png")
    np.testing.assert_array_equal(demo_parts.open_model(tmp_path).examples, np.full((1, 8, 10, 1), 2))


def test_completions_have_their_classes_where_the_model_has_a_classifier(folder, tmp_path):
    own = shutil.copytree(folder, tmp_path / "own")
    build_classifier(CONFIG, 3).save(own / "classifier.keras")
    opened = demo_parts.open_model(own)
    *_, result = demo_parts.complete(opened, opened.examples[0], demo_parts.make_mask("none", CONFIG, 0), 5, 1.0, 0)
    archive, *written = demo_parts.save(result, 5, tmp_path)
    with np.load(tmp_path / "samples.npz") as file:
        classes = file["likeliest_class"][0]
    np.testing.assert_array_equal(
        classes, classify(opened.classifier, result.completions.samples[None], 3)["likeliest_class"][0])
    html = demo_parts.completion_buttons(result, 4, 0)
    assert re.findall("<small><b>(.*?)</b> ", html) == [str(name) for name in classes[:4]] and "classifier" in html


def test_the_canvas_hands_back_what_it_was_given():
    image = np.random.default_rng(0).integers(0, 3, (8, 10, 1))
    mask = demo_parts.make_mask("random:0.5", CONFIG, 1)
    for got, expected in zip(demo_parts.painted(demo_parts.canvas(image, mask, 3), CONFIG), (image, mask)):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("value", [
    None, 7, "text", [], {}, {"levels": [0] * 80}, {"levels": [0] * 80, "mask": [1] * 79},
    {"levels": [3] * 80, "mask": [1] * 80}, {"levels": [0] * 80, "mask": [2] * 80},
    {"levels": [0.5] * 80, "mask": [1] * 80}, {"levels": ["0"] * 80, "mask": [1] * 80},
    {"levels": [None] * 80, "mask": [1] * 80}, {"levels": [10**30] * 80, "mask": [1] * 80},
    {"levels": [[0], 1] * 40, "mask": [1] * 80}, {"levels": [float("nan")] * 80, "mask": [1] * 80}])
def test_a_picture_that_no_canvas_sends_is_an_input_error(value):
    with pytest.raises(pcnn.InputError):
        demo_parts.painted(value, CONFIG)


def test_masks_to_choose_from_fit_and_are_those_of_the_command_line():
    for config in (CONFIG, pcnn.Config(), pcnn.Config.preset("digits"), TINY.replace(height=1, width=1)):
        for spec in demo_parts.presets(config):
            np.testing.assert_array_equal(demo_parts.make_mask(spec, config, 3),
                                          parse_mask(spec, config.height, config.width)(3))


@pytest.mark.parametrize("spec", ["", "bottom", "bottom:99", "upper:2", "blobs:1000000000,2,7", "blobs:1,2,1000000",
                                  "blobs:9_9_9,1,2", "blobs:100,1,2", "blobs:1,2,100",
                                  "rect:1,1", "mask.png", "../mask.png"])
def test_a_mask_that_is_none_is_an_input_error_and_no_file_is_read(spec, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    for place in (".", ".."):
        Image.new("L", (10, 8)).save(f"{place}/mask.png")
    with pytest.raises(pcnn.InputError):
        demo_parts.make_mask(spec, CONFIG, 0)


def test_an_upload_is_cropped_and_quantised_and_a_bad_one_is_refused_without_its_path(tmp_path):
    Image.new("RGB", (40, 16), "white").save(tmp_path / "wide.png")
    image, done = demo_parts.read_upload(str(tmp_path / "wide.png"), CONFIG)
    np.testing.assert_array_equal(image, np.full((8, 10, 1), 2))
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(pcnn.InputError, match="^The file is not an image") as error:
        demo_parts.read_upload(str(tmp_path / "text.png"), CONFIG)
    assert str(tmp_path) not in str(error.value)


def test_an_uploaded_photo_of_a_digit_is_prepared(tmp_path):
    photo = np.full((60, 60), 230, np.uint8)
    photo[10:30, 20:24] = 30  # a dark stroke off centre
    Image.fromarray(photo).save(tmp_path / "photo.png")
    config = TINY.replace(dataset="mnist", height=28, width=28)
    image, done = demo_parts.read_upload(str(tmp_path / "photo.png"), config)
    rows, columns, _ = np.nonzero(image)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (20, 4) and 12 <= columns.min() <= 13
    assert "turned round" in done
    image, done = demo_parts.read_upload(str(tmp_path / "photo.png"), config, "none")
    assert image[0].all() and not done
    for wrong, model in (("crop", config), (None, config), (["none"], config), ("digit", config.replace(channels=3))):
        with pytest.raises(pcnn.InputError, match="prepared as"):
            demo_parts.read_upload(str(tmp_path / "photo.png"), model, wrong)


def test_what_the_model_does_not_know_is_said_where_something_is_visible(results):
    def said(bound, mask=results[1].mask):
        result = results[1]._replace(opened=results[1].opened._replace(bound=bound), mask=mask)
        return demo_parts.warning(result)

    found = float(re.search(r"knows: (-?[\d.]+) standard", said(-1e6))[1])
    assert not said(found + 0.1) and said(found - 0.1).endswith(f"up to {found - 0.1:.1f}.")
    assert not said(0.1, np.zeros_like(results[1].mask))  # where the score is 0
    assert not demo_parts.warning(results[1])  # the model has no bound


def test_the_first_few_come_first_and_all_are_those_of_one_call(results, opened):
    assert [len(result.completions.draw) for result in results] == [demo_parts.FIRST, 20]
    expected = pcnn.inpaint(opened.model, results[0].image, results[0].mask, 20, 0.5, 7).ranked()
    for got, wanted in zip(results[1].completions, expected):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)  # likelihoods but for rounding


def test_by_importance_some_of_many_are_shown(results, opened):
    image, mask = results[0].image, results[0].mask
    result, = demo_parts.complete(opened, image, mask, 5, 1, 7, importance=True)
    expected = pcnn.inpaint(opened.model, image, mask, 5, 1, 7, candidates=20).ranked()
    np.testing.assert_array_equal(result.completions.draw, expected.draw)
    assert "--num-samples 5 --temperature 1.0 --seed 7 --candidates 20 --keep-best 3" in demo_parts.command(result, 3)
    assert "--candidates" not in demo_parts.command(results[1], 3)
    assert f"--model {opened.folder} " in demo_parts.command(result, 3)
    ships = result._replace(opened=opened._replace(folder=ROOT / "saved_models" / "mnist"))
    assert "--model mnist " in demo_parts.command(ships, 3)  # by its name: not where it is on this machine
    with pytest.raises(pcnn.InputError, match="temperature 1"):
        next(demo_parts.complete(opened, image, mask, 5, 0.5, 7, importance=True))


@pytest.mark.parametrize("spec, count, temperature, seed", [
    ("all", 4, 1, 0), ("none", 0, 1, 0), ("none", demo_parts.MOST + 1, 1, 0), ("none", 4, -1, 0), ("none", 4, 1, -1),
    ("none", 4, 1, None)])
def test_what_cannot_be_drawn_is_an_input_error(opened, spec, count, temperature, seed):
    mask = demo_parts.make_mask(spec, CONFIG, 0)
    with pytest.raises(pcnn.InputError):
        list(demo_parts.complete(opened, opened.examples[0], mask, count, temperature, seed))


def test_completions_are_shown_ranked_with_bars(results):
    html = demo_parts.completion_buttons(results[1], 15, 2)
    completions = results[1].completions
    np.testing.assert_array_equal(shown(html), to_bytes(completions.samples[:15, ..., 0], 3))
    bars = [float(width) for width in re.findall(r"width:(\d+)%", html)]
    assert bars[0] == 100 and sorted(bars, reverse=True) == bars and bars[-1] > 0  # the range is that of all twenty
    assert re.findall("<small>(.*?)</small>", html) == [f"{value:.1f}" for value in completions.log_likelihood[:15]]
    assert re.findall('aria-pressed="(.*?)"', html).index("true") == 2
    assert len(shown(demo_parts.example_buttons(results[1].opened))) == 8


def test_mean_and_probability_are_those_of_what_was_drawn(results, opened):
    result = results[1]
    mean, heat, scale = shown(demo_parts.mean_and_probability(result, 15, 1))
    np.testing.assert_array_equal(mean, to_bytes(result.completions.samples[:15, ..., 0], 3).mean(0).round())
    sample = result.completions.samples[1]
    probabilities = pcnn.pixel_probabilities(opened.model, sample[None], result.mask[None])[0]
    for row, column in np.ndindex(8, 10):
        if result.mask[row, column]:
            assert set(heat[row, column]) == {to_bytes(sample[row, column, 0], 3)}
        else:
            place = probabilities[row, column, 0, sample[row, column, 0]] * 63
            either = scale[0, [int(place), min(int(place) + 1, 63)]].astype(int)  # the scale has 64 colours
            assert (either.min(0) - 3 <= heat[row, column]).all() and (heat[row, column] <= either.max(0) + 3).all()


def test_progression_goes_row_by_row_and_ends_with_the_completion(results):
    *stages, moving = demo_parts.progression(results[1], 3)
    assert len(stages) == 9  # nothing drawn, then one more of eight rows
    assert "4: 0% drawn" in stages[0] and "4: 12% drawn" in stages[1] and "4: 100% drawn" in stages[-1]
    final = to_bytes(results[1].completions.samples[3, ..., 0], 3)
    for row, stage in enumerate(stages):
        np.testing.assert_array_equal(shown(stage)[0][:row], final[:row])
    np.testing.assert_array_equal(shown(stages[-1])[0], final)
    assert (shown(stages[0])[0] != final).any()
    np.testing.assert_array_equal(shown(moving)[0], shown(stages[0])[0])


@pytest.mark.parametrize("size, options, continuations", [
    ((20, 4), {"merge": "blocks", "slices": 2}, 64), ((40, 32), {"channels": 3}, 8)])
def test_a_large_image_has_a_progression_of_fewer_stages_and_continuations(
        size, options, continuations, monkeypatch):
    asked = []

    def stages_of(*arguments):
        asked.append(arguments)
        return stages(*arguments)

    stages = demo_parts.progression_stages
    monkeypatch.setattr(demo_parts, "progression_stages", stages_of)
    model = pcnn.build_model(TINY.replace(height=size[0], width=size[1], **options))
    opened = demo_parts.Opened(None, model, None, np.inf)
    image, mask = np.zeros((*size, model.config.channels), int), np.ones((*size, 1), int)
    mask[-2:] = 0
    *_, result = demo_parts.complete(opened, image, mask, 2, 1.0, 0)
    *frames, _ = demo_parts.progression(result, 0)
    assert len(frames) == 12 and "100% drawn" in frames[-1]
    assert asked[0][-2] == continuations


@pytest.fixture
def turns():
    pytest.importorskip("gradio")
    from pcnn_keras.demo import handlers

    return handlers, handlers.Turns(), handlers.Turns()


@pytest.mark.parametrize("when", ["while it waits", "while it draws", "before it is shown"])
def test_what_is_drawn_of_a_picture_that_has_changed_is_not_shown(turns, opened, results, monkeypatch, when):
    handlers, *both = turns
    begun, computed = Event(), []

    def complete(*args):
        computed.append("first")
        if when == "while it draws":
            handlers.forget(*both)
        args[-1](0.5)  # a part is drawn
        computed.append("second")
        if when == "before it is shown":
            handlers.forget(*both)
        yield results[1]

    def painted(*_):
        begun.set()
        return None, None

    monkeypatch.setattr(handlers, "complete", complete)
    monkeypatch.setattr(handlers, "painted", painted)
    models = handlers.ModelHandlers({"tiny": opened.folder})
    monkeypatch.setattr(models, "_open", lambda name: opened)
    with ThreadPoolExecutor() as pool:
        with models._drawing if when == "while it waits" else nullcontext():  # another's drawing
            shown = pool.submit(lambda: [*models.draw_completions("tiny", None, 2, 1.0, 0, False, *both)])
            assert begun.wait(60)
            if when == "while it waits":
                handlers.forget(*both)
        assert shown.result(60) == []
    assert computed == {"while it waits": [], "while it draws": ["first"]}.get(when, ["first", "second"])


def test_an_answer_that_comes_after_the_picture_has_changed_is_not_shown(turns, results, monkeypatch):
    handlers, drawings, playings = turns
    result, tile = results[1], Namespace(index=1)
    assert handlers.choose_completion(result, 4, drawings, playings, tile)[-1] == 1
    assert len(handlers.hide(result, 4, 1, drawings)) + 1 == len(handlers.show_all(result, 1, drawings)) == 6

    def show(*_):
        handlers.forget(drawings, playings)
        return "old", "old", "old", 0

    monkeypatch.setattr(handlers, "show", show)
    for answer in (handlers.choose_completion(result, 4, drawings, playings, tile),
                   handlers.hide(result, 4, 1, drawings), handlers.show_all(result, 1, drawings)):
        assert answer == handlers.gr.skip()


def test_what_needs_completions_says_so(turns):
    handlers, _, playings = turns
    for use in (lambda: next(handlers.play(None, 0, playings)), lambda: handlers.download(None, 4)):
        with pytest.raises(handlers.gr.Error, match="press Complete first"):
            use()


def test_the_downloaded_command_line_draws_the_same_completions_again(
        results, folder, tmp_path, call_here):
    """Unpacked in a folder that has the model's folder below, as a user would."""
    shutil.copytree(folder, tmp_path / "saved_models" / "tiny")
    result = results[1]._replace(opened=results[1].opened._replace(folder=Path("saved_models/tiny")))
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    archive, *written = demo_parts.save(result, 12, unpacked)
    with zipfile.ZipFile(archive) as file:
        assert sorted(file.namelist()) == sorted(path.name for path in written) == [
            "command.txt", "grid.png", "image.png", "mask.png", "samples.npz"]
        file.extractall(tmp_path)
    line = (tmp_path / "command.txt").read_text()
    assert shlex.split(line)[:4] == ["python", "-m", "pcnn_keras", "sample"]
    assert "--num-samples 20 --temperature 0.5 --seed 7 --keep-best 12" in line
    code, _, errors = call_here(line.replace("python -m pcnn_keras", "pcnn_keras/commands/pcnn.py").strip())
    assert (code, errors) == (0, "")
    with np.load(tmp_path / "samples" / "samples.npz") as again, np.load(tmp_path / "samples.npz") as first:
        assert set(again) == set(first)
        for name in first:
            np.testing.assert_allclose(again[name], first[name], rtol=1e-6)  # likelihoods but for rounding
            assert again[name].dtype == first[name].dtype
        np.testing.assert_array_equal(again["samples"][0], result.completions.samples)
    grids = [np.asarray(Image.open(tmp_path / place / "grid.png")) for place in (".", "samples")]
    np.testing.assert_array_equal(*grids)


@pytest.mark.parametrize("command", ["--no-such-flag", "--port 0", "--port x", "--model missing"])
def test_a_mistake_is_said_in_one_line(call_here, command):
    code, out, errors = call_here(f"pcnn_keras/demo/__main__.py {command}")
    assert (code, out) == (2, "")
    assert len(errors.splitlines()) == 1 and errors.startswith("demo: "), errors


@pytest.mark.parametrize("installed", [None, "5.49.1", "7.0"])
def test_without_a_gradio_that_fits_one_line_says_what_to_install(call_here, folder, monkeypatch, installed):
    def version(name):
        if name == "gradio" and not installed:
            raise PackageNotFoundError
        return installed if name == "gradio" else version_of(name)

    version_of = importlib.metadata.version
    monkeypatch.setattr("importlib.metadata.version", version)
    code, out, errors = call_here(f"pcnn_keras/demo/__main__.py --model {folder}")
    assert (code, out) == (2, "")
    assert len(errors.splitlines()) == 1
    needed = Requirement(re.search("'(gradio.*)'", errors)[1])
    assert needed == Requirement((ROOT / "requirements-demo.txt").read_text().splitlines()[-1])


def test_a_number_says_on_the_page_what_it_does_not_take():
    gr = pytest.importorskip("gradio")
    from pcnn_keras.demo.page import check_number

    slider, seed = gr.Slider(0, 2, 1, step=0.05, label="Temperature"), gr.Number(minimum=0, maximum=9, label="Seed")
    check_number(slider, 0.5)
    check_number(seed, 9)
    for part, expected, more in ((slider, "Temperature: expected a number from 0 to 2", 3),
                                 (seed, "Seed: expected a whole number from 0 to 9", 0.5)):
        for value in (None, "1", [], {}, True, -1, float("nan"), more):
            with pytest.raises(gr.Error, match=expected) as caught:
                check_number(part, value)
            assert not caught.value.print_exception


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "no such host", "x" * 300])
def test_an_address_that_is_none_of_this_machines_is_said(host, folder):
    check_host("127.0.0.1")
    with pytest.raises(pcnn.InputError, match="no address that this machine can listen at"):
        check_host(host)


@pytest.mark.full
@pytest.mark.parametrize("port, host, about", [("abc", "127.0.0.1", "GRADIO_SERVER_PORT"),
                                               ("", "999.1.1.1", "no address that this machine can listen at")])
def test_what_the_server_cannot_use_is_said_in_one_line(folder, port, host, about):
    pytest.importorskip("gradio")
    environment = {**os.environ, "GRADIO_SERVER_PORT": port} if port else None
    done = subprocess.run([sys.executable, "-m", "pcnn_keras.demo", "--model", folder, "--host", host], cwd=ROOT,
                          env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and about in done.stderr


@pytest.mark.full
@pytest.mark.timeout(300)
def test_uploads_go_when_the_server_is_ended(folder, tmp_path, monkeypatch):
    pytest.importorskip("gradio")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serve("--model", folder) as address:
        assert send(address, b"a visitor's own")[0] == 200
        upload, = tmp_path.glob("pcnn-demo-*/**/a.png")
        assert upload.read_bytes() == b"a visitor's own"
    assert not [*tmp_path.glob("pcnn-demo-*"), *tmp_path.rglob("a.png")]
