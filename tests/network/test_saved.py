"""Weights that are no weights of the model are refused, before anything is built from what the file says."""

import json
import zipfile

import keras
import numpy as np
import pytest
from conftest import TINY, enlarge, run_here, save_model
from made_up import change_weights, rewrite
from PIL import Image

import pcnn_keras as pcnn
from pcnn_keras.evaluation.classifier import build_classifier, find_classifier
from pcnn_keras.network import model as network

LINK = "layers/functional_1/layers/gated_block/link/vars/1"


def write(name, values):
    def change(file):
        if name in file:
            del file[name]
        file[name] = values
    return change


def fill(value):
    def change(file):
        file[LINK][3] = value
    return change


def sparse(file):
    del file[LINK]
    file.create_dataset(LINK, (2**20, 2**10), "float32")


def elsewhere(file):
    del file[LINK]
    file.create_dataset(LINK, (12,), "float32", external=[("config.json", 0, 48)])


SPOILT = {
    "NaN": (fill(np.nan), "not finite"),
    "infinite": (fill(-np.inf), "not finite"),
    "huge": (fill(1e30), "above 1e"),
    "one more": (write("layers/functional_1/layers/other/vars/0", np.zeros(3, np.float32)), "weights are not"),
    "one less": (lambda file: file.__delitem__(LINK), "weights are not"),
    "another shape": (write(LINK, np.zeros(11, np.float32)), "weights are not"),
    "words": (write(LINK, np.array([b"twelve"] * 12)), "not stored as plain numbers"),
    "whole numbers": (write(LINK, np.zeros(12, int)), "not stored as plain numbers"),
    "four gigabytes of nothing": (sparse, "not stored as plain numbers"),
    "of another file": (elsewhere, "not stored as plain numbers"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_weights_that_are_not_the_models_are_refused(tmp_path, kind):
    change, message = SPOILT[kind]
    save_model(pcnn.build_model(TINY), tmp_path)
    change_weights(tmp_path / "model.keras", change)
    with pytest.raises(pcnn.InputError, match=message):
        pcnn.load(tmp_path)


@pytest.mark.parametrize("changes", [
    {"kernel_size": 1001}, {"prior_depth": 3000}, {"conditioning_depth": 10**9}, {"filters": 2**20},
    {"head_filters": 10**6}, {"num_levels": 256}, {"channels": 3}])
def test_settings_that_the_weights_do_not_have_are_refused_before_anything_is_built(tmp_path, monkeypatch, changes):
    save_model(pcnn.build_model(TINY), tmp_path)
    TINY.replace(**changes).save(tmp_path / "config.json")

    def change(data):
        saved = json.loads(data)
        saved["config"]["config"].update(changes)
        return json.dumps(saved)

    rewrite(tmp_path / "model.keras", lambda names: "config.json", change)
    monkeypatch.setattr(network, "build_model", None)
    with pytest.raises(pcnn.InputError, match="not those of a model with its settings"):
        pcnn.load(tmp_path)


def test_what_would_be_unpacked_is_refused(tmp_path):
    save_model(pcnn.build_model(TINY), tmp_path)
    build_classifier(TINY, 3).save(tmp_path / "classifier.keras")
    for file, load in (("model.keras", pcnn.load), ("classifier.keras", lambda _: find_classifier(tmp_path, TINY))):
        whole = (tmp_path / file).read_bytes()
        load(tmp_path)
        for name in ("config.json", "model.weights.h5"):
            rewrite(tmp_path / file, lambda names, name=name: name, lambda data: data, zipfile.ZIP_DEFLATED)
            with pytest.raises(pcnn.InputError, match=f"{file} cannot be read: its {name} is compressed"):
                load(tmp_path)
            (tmp_path / file).write_bytes(whole)


def test_a_model_saved_with_its_optimizer_loads(tmp_path):
    model = pcnn.build_model(TINY)
    keras.Model.compile(model, "adam", {name: "mse" for name in ("logits", "conditional_logits")})
    model.optimizer.build(model.trainable_variables)
    save_model(model, tmp_path)
    for ours, theirs in zip(pcnn.load(tmp_path).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_below_the_bound_that_overflow_all_the_same_are_refused_where_they_do(tmp_path):
    model = enlarge(pcnn.build_model(TINY.replace(conditioning_depth=3)))
    model.set_weights([np.full_like(weight, 9e5) for weight in model.get_weights()])
    save_model(model, tmp_path)
    image, mask = np.zeros((1, 4, 5, 1), int), np.zeros((1, 4, 5, 1), int)
    for use in (pcnn.log_likelihood, pcnn.pixel_probabilities, pcnn.inpaint):
        with pytest.raises(pcnn.InputError, match="overflow"):
            use(pcnn.load(tmp_path), image, mask)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "image.png")
    for command in (("sample.py", "--image", tmp_path / "image.png"), ("pcnn_keras/export/__main__.py",)):
        done = run_here(*command, "--model", tmp_path, "--output", tmp_path / "out")
        assert done.returncode == 2 and "overflow" in done.stderr and done.stderr.count("\n") == 1, done.stderr
