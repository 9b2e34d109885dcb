"""Likelihoods and probabilities against the model's own outputs, computed in NumPy."""

import numpy as np
import pytest
from conftest import TINY, enlarge

from pcnn_keras.errors import InputError
from pcnn_keras.inference.likelihood import log_likelihood, pixel_probabilities
from pcnn_keras.network.model import build_model


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def model(request):
    return enlarge(build_model(TINY.replace(channels=request.param, num_levels=5)), 2.0)


@pytest.fixture
def images(model):
    return np.random.default_rng(1).integers(0, 5, (7, 4, 5, model.config.channels))


@pytest.fixture
def masks():
    return np.random.default_rng(2).integers(0, 2, (7, 4, 5, 1))


def expected_probabilities(model, images, masks):
    """softmax of the `logits` head, float64."""
    scaled = images / 4
    inputs = {"image": scaled, "conditioning": np.concatenate([scaled * masks, masks], -1)}
    outputs = model({name: value.astype(np.float32) for name, value in inputs.items()})
    exponentials = np.exp(np.asarray(outputs["logits"], np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_likelihood_is_the_sum_of_logs_over_hidden_pixels_and_channels(model, images, masks):
    probabilities = expected_probabilities(model, images, masks)
    expected = np.zeros(len(images))
    for b, row, column, channel in np.ndindex(images.shape):
        if not masks[b, row, column, 0]:
            expected[b] += np.log(probabilities[b, row, column, channel, images[b, row, column, channel]])
    found = log_likelihood(model, images, masks)
    assert found.dtype == np.float32 and found.shape == (7,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_probabilities_are_the_softmax_where_hidden_and_certain_where_visible(model, images, masks):
    found = pixel_probabilities(model, images, masks)
    assert found.dtype == np.float32 and found.shape == (*images.shape, 5)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    hidden = np.broadcast_to(masks == 0, images.shape)
    np.testing.assert_allclose(found[hidden], expected_probabilities(model, images, masks)[hidden], atol=1e-5)
    np.testing.assert_array_equal(found[~hidden], np.eye(5)[images[~hidden]])


def test_a_wholly_visible_image_has_likelihood_exactly_0(model, images, masks):
    assert (log_likelihood(model, images, np.ones_like(masks)) == 0).all()


def test_neither_batch_size_nor_company_matters(model, images, masks):
    together = log_likelihood(model, images, masks)
    for batch_size in (1, 3, 100):
        np.testing.assert_allclose(log_likelihood(model, images, masks, batch_size), together, rtol=1e-5)
    alone = [log_likelihood(model, images[i : i + 1], masks[i : i + 1])[0] for i in (0, 6)]
    np.testing.assert_allclose(alone, together[[0, 6]], rtol=1e-5)


def test_an_empty_batch_gives_nothing(model, images, masks):
    assert log_likelihood(model, images[:0], masks[:0]).shape == (0,)
    assert pixel_probabilities(model, images[:0], masks[:0]).shape == (0, *images.shape[1:], 5)


def test_any_whole_numbers_will_do(model, images, masks):
    expected = log_likelihood(model, images, masks)
    for kinds in ((np.uint8, bool), (np.float64, np.float32)):
        converted = (values.astype(kind) for values, kind in zip((images, masks), kinds))
        np.testing.assert_array_equal(log_likelihood(model, *converted), expected)
    np.testing.assert_array_equal(log_likelihood(model, images.tolist(), masks.tolist()), expected)


MISTAKES = {
    "other height": lambda images, masks: (images[:, :-1], masks[:, :-1]),
    "other channels": lambda images, masks: (np.repeat(images, 2, -1), masks),
    "mask of two channels": lambda images, masks: (images, np.repeat(masks, 2, -1)),
    "fewer masks": lambda images, masks: (images, masks[:1]),
    "mask of 2": lambda images, masks: (images, masks * 2),
    "mask of halves": lambda images, masks: (images, masks / 2),
    "level too high": lambda images, masks: (np.where(images == 4, 5, images), masks),
    "level below 0": lambda images, masks: (images - 1, masks),
    "level that wraps to 0": lambda images, masks: (images + 2**32, masks),
    "scaled image": lambda images, masks: (images / 4, masks),
    "NaN": lambda images, masks: (np.where(images == 4, np.nan, images), masks),
    "infinity": lambda images, masks: (np.where(images == 4, np.inf, images), masks),
    "text": lambda images, masks: (images.astype(str), masks),
    "objects": lambda images, masks: (np.full(images.shape, None), masks),
    "ragged": lambda images, masks: ([[1, 2], [3]], masks),
    "nothing": lambda images, masks: (None, masks),
    "complex": lambda images, masks: (images + 0j, masks),
}


@pytest.mark.parametrize("function", [log_likelihood, pixel_probabilities])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_the_model_is_a_mistake_said_in_one_line(model, images, masks, function, mistake):
    with pytest.raises(InputError, match="images|masks"):
        function(model, *MISTAKES[mistake](images, masks))
