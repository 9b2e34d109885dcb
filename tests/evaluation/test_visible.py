"""What a model does not know is told from what it knows."""

import json
import math

import numpy as np
import pytest
from conftest import ROOT

import pcnn_keras as pcnn
from pcnn_keras.data.images import list_images
from pcnn_keras.evaluation import visible
from pcnn_keras.evaluation.visible import load_bound, save_bound, surprise
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.inference.likelihood import pixel_probabilities


@pytest.mark.parametrize("model", ["tiny", "tiny_rgb"])
def test_the_surprise_is_that_of_the_visible_pixels_alone_some_images_at_a_time(model, request, monkeypatch):
    monkeypatch.setattr(visible, "AT_A_TIME", 2)
    model = request.getfixturevalue(model)
    config = model.config
    images = np.random.default_rng(0).integers(0, config.num_levels, (3, config.height, config.width, config.channels))
    masks = np.stack([pcnn.parse_mask(spec, config.height, config.width)(0) for spec in ("left:2", "all", "none")])
    joint = pixel_probabilities(model, images, "none")
    found, expected, variance = np.zeros((3, 3))
    for n, *place in np.argwhere(np.repeat(masks, config.channels, axis=-1) == 1):
        p = joint[n, *place]
        found[n] -= np.log(p[images[n, *place]])
        expected[n] -= (p * np.log(p)).sum()
        variance[n] += (p * np.log(p) ** 2).sum() - (p * np.log(p)).sum() ** 2
    np.testing.assert_allclose(surprise(model, images, masks), (found - expected) / np.sqrt(1 + variance), rtol=1e-3)
    assert surprise(model, images, masks)[2] == 0


def test_the_bound_is_what_few_held_out_images_are_above(tiny, tmp_path, monkeypatch):
    scores = []

    def kept(*args):
        scores.append(surprise(*args))
        return scores[-1]

    monkeypatch.setattr(visible, "surprise", kept)
    images = np.random.default_rng(1).integers(0, 2, (40, 4, 5, 1))
    monkeypatch.setattr(visible, "QUANTILE", 0.9)
    save_bound(tiny, images, tmp_path)
    assert (scores[0] > load_bound(tmp_path)).sum() == 4
    monkeypatch.setattr(visible, "QUANTILE", 0)
    save_bound(tiny, images, tmp_path)
    assert load_bound(tmp_path) == visible.LEAST > scores[1].min()


@pytest.mark.parametrize("content", [
    "", "[]", "{}", "[" * 10**5, *(f'{{"standard_deviations": {value}}}' for value in (
        '"many"', "null", "NaN", "Infinity", "-Infinity", "1e999", '"nan"', "9" * 401, "9" * 5000))], ids=range(13))
def test_a_file_that_holds_no_bound_is_a_mistake(tmp_path, content):
    assert load_bound(tmp_path) == math.inf
    (tmp_path / "visible.json").write_text(content)
    with pytest.raises(pcnn.InputError, match="visible.json holds no bound"):
        load_bound(tmp_path)


def test_the_model_that_ships_knows_its_digits_and_no_others():
    folder = ROOT / "saved_models" / "mnist"
    model, bound = pcnn.load(folder), load_bound(folder)
    images, *_ = read_inputs(model.config, list_images(folder / "examples")[:4], "all")
    masks = np.stack([pcnn.parse_mask("top:14", 28, 28)(0)] * 4)
    assert json.loads((folder / "visible.json").read_text())["images"] == 1000
    assert (surprise(model, images, masks) < bound).all()
    assert (surprise(model, 1 - images, masks) > bound).all()
    assert (surprise(model, np.random.default_rng(0).integers(0, 2, images.shape), masks) > bound).all()


def test_the_bound_is_of_completions_under_each_mask_in_turn(tiny, tmp_path, monkeypatch):
    asked, images = [], np.random.default_rng(1).integers(0, 2, (15, 4, 5, 1))
    monkeypatch.setattr(visible, "surprise", lambda *given: (asked.append(given), surprise(*given))[1])
    save_bound(tiny, images, tmp_path)
    ((_, completed, masks),) = asked
    specs = ("blobs:4,2,7", "bottom:1", "top:2", "left:2", "random:0.15")
    np.testing.assert_array_equal(masks, [pcnn.parse_mask(specs[i % 5], 4, 5)(i) for i in range(15)])
    np.testing.assert_array_equal(completed, pcnn.inpaint(tiny, images, masks, 1, seed=np.arange(15)).samples[:, 0])
