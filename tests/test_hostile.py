"""Files that try to run code, or to fill the memory, are refused in one line, and what they carry does not run."""

import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import TINY, run_here, save_model
from made_up import files, png, rewrite
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.data.images import read_image
from pcnn_keras.errors import InputError
from pcnn_keras.files import CHECKPOINT


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a good model in `model/`; a payload that runs would write `marker` into it."""
    monkeypatch.chdir(tmp_path)
    save_model(pcnn.build_model(TINY), tmp_path / "model")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "good.png")
    return tmp_path


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return exec, ("open('marker', 'w')",)


def ran(place):
    found = (place / "marker").exists()
    (place / "marker").unlink(missing_ok=True)
    return found


def test_the_payload_runs_where_nothing_stops_it(place):
    pickle.loads(pickle.dumps(Payload()))
    assert ran(place)
    lambda_model().predict(np.zeros((1, 4, 5, 1)), verbose=0)
    assert ran(place)


def lambda_model():
    """A Keras model with code in it."""
    layer = keras.layers.Lambda(lambda x: (exec("open('marker', 'w')"), x)[1])
    model = keras.Sequential([keras.Input((4, 5, 1)), layer])
    model.run_eagerly = True
    Path("marker").unlink()  # the layer has been tried out
    return model


def lambda_layer(config):
    lambda_model().save("lambda.keras")
    with zipfile.ZipFile("lambda.keras") as archive:
        return json.loads(archive.read("config.json"))


def arbitrary(module, name, arguments):
    """A config that asks for anything that can be imported, as a class or as a function."""
    return lambda config: {"module": module, "class_name": name, "config": arguments, "registered_name": name,
                           "build_config": {"input_shape": [1]}}


HOSTILE = {
    "a Lambda layer": lambda_layer,
    "a function of a module": arbitrary("os", "system", {"command": "touch marker"}),
    "a class of a module": arbitrary("subprocess", "Popen", {"args": ["touch", "marker"]}),
    "a function object": arbitrary("builtins", "function", "exec"),
    "exec of a module": arbitrary("builtins", "exec", {"source": "open('marker', 'w')"}),
    "a Lambda inside the config": lambda config: {
        **config, "config": {"config": {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}}},
    "a loader of Keras's": arbitrary("keras.utils", "get_file", {"fname": "marker", "origin": "file:///etc/hostname"}),
    "another registered class": lambda config: {**config, "registered_name": "pcnn_keras>Nats"},
    "a module of this folder": arbitrary("evil", "Evil", {}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_loading_a_model_runs_no_code_from_it(place, kind, monkeypatch):
    (place / "evil.py").write_text("open('marker', 'w')\nclass Evil: from_config = open")
    monkeypatch.syspath_prepend(str(place))

    def change(data):
        return json.dumps(HOSTILE[kind](json.loads(data)))

    rewrite(place / "model" / "model.keras", lambda names: "config.json", change)
    (place / "lambda.keras").unlink(missing_ok=True)
    before = files(place)
    code, _, errors = run_here("sample.py", "--model", "model", "--image", "good.png", "--output", "out")
    assert "evil" not in sys.modules
    assert not ran(place)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert "model.keras" in errors
    assert files(place) == before
    with pytest.raises(InputError):
        pcnn.load(place / "model")
    assert not ran(place)


def test_a_classifier_runs_no_code_either(place):
    lambda_model().save(place / "model" / "classifier.keras")
    save_model(pcnn.build_model(TINY.replace(dataset="digits", height=8, width=8)), place / "model")
    code, _, errors = run_here("pcnn_keras/evaluate.py", "--model", "model", "--limit", 10)
    assert not ran(place)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert "classifier.keras" in errors


def test_arrays_that_are_pickles_are_not_loaded(place, new_run):
    _, checkpoint, model = new_run
    checkpoint.save(model, inside_epoch=True)
    path = place / CHECKPOINT
    with np.load(path) as file:
        arrays = dict(file)
    pickled = pickle.dumps(Payload())

    def hide(name):
        np.savez(path, **{**arrays, name: np.array([Payload()], object)})

    def be_a_pickle_inside():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("run.npy", pickled)

    for attack in (lambda: hide("run"), lambda: hide("model/000"), lambda: hide("metric/000"), be_a_pickle_inside,
                   lambda: path.write_bytes(pickled)):
        attack()
        with pytest.raises(InputError, match=CHECKPOINT):
            checkpoint.restore(model)
        assert not ran(place)


@pytest.mark.parametrize("as_what", ["--image", "--mask"])
def test_a_small_file_that_unpacks_to_a_huge_image_is_refused_unread(place, as_what, monkeypatch):
    (place / "bomb.png").write_bytes(png(60_000, 60_000, content=bytes(1_000_000)))  # 3.6 billion pixels
    assert (place / "bomb.png").stat().st_size < 20_000
    monkeypatch.setattr(Image.Image, "frombytes", None)
    before = files(place)
    flags = [as_what, "bomb.png"] + (["--image", "good.png"] if as_what == "--mask" else [])
    code, _, errors = run_here("sample.py", "--model", "model", *flags, "--output", "out")
    assert code == 2
    assert errors == "sample.py: bomb.png has too many pixels: 89,478,485 at most.\n"
    assert files(place) == before


def test_a_text_chunk_that_unpacks_to_a_huge_text_is_refused(place):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("comment", "0" * 5_000_000, zip=True)
    buffer = io.BytesIO()
    Image.new("L", (4, 5)).save(buffer, "png", pnginfo=text)
    (place / "text.png").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="text.png cannot be read"):
        read_image(place / "text.png")


def test_postscript_is_not_run(tmp_path):
    (tmp_path / "picture.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(InputError, match="is not an image that can be read"):
        read_image(tmp_path / "picture.png")
