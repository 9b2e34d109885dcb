"""Small models that look at their pixels: fresh weights hardly do."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import pcnn_keras as pcnn
from pcnn_keras.results import Completions

TINY = pcnn.Config(height=4, width=5, filters=6, prior_depth=1, conditioning_depth=1, kernel_size=3, batch_size=8)


def enlarge(model, scale=1.0, seed=0):
    """Gives a model random weights of size one over the square root of the fan-in, biases too."""
    rng = np.random.default_rng(seed)
    model.set_weights([
        (rng.normal(size=w.shape) * scale * (np.prod(w.shape[:-1]) ** -0.5 if w.ndim > 1 else 0.1)).astype("float32")
        for w in model.get_weights()])
    return model


@pytest.fixture
def tiny():
    """A grey model of 4 x 5 pixels and 2 levels with enlarged weights."""
    return enlarge(pcnn.build_model(TINY), 2.0)


@pytest.fixture
def tiny_rgb():
    """A colour model of 3 x 4 pixels and 3 levels with enlarged weights."""
    return enlarge(pcnn.build_model(TINY.replace(height=3, width=4, channels=3, num_levels=3, filters=7)), 2.0)


def assert_same_completions(found, expected):
    """Holds arrays by name, ranked, against ranked `Completions`. Equal ones may have changed places by rounding."""
    found = Completions(*(np.reshape(found[name], value.shape) for name, value in expected._asdict().items()))
    assert (np.diff(found.log_likelihood, axis=-1) <= 0).all()
    in_draw_order = (Completions(each.samples, -each.draw, each.log_likelihood).ranked() for each in (found, expected))
    for ours, theirs in zip(*in_draw_order):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
