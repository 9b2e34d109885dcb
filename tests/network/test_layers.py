import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from scipy.stats import logistic

from pcnn_keras.network.layers import GatedBlock, LogisticsByLevel, ResidualBlock, SelfAttention
from pcnn_keras.network.masked import MaskedConv2D


@pytest.mark.parametrize("layer, shape", [
    (MaskedConv2D(6, (1, 5), stack="horizontal", restricted=True, channel_groups=3, gated=True), (2, 4, 5, 3)),
    (ResidualBlock(4, 3), (2, 4, 5, 4)), (SelfAttention(2), (2, 4, 5, 6)), (LogisticsByLevel(7), (2, 4, 5, 6))])
def test_layers_survive_a_config_round_trip(layer, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    y = layer(x)
    copy = type(layer).from_config(layer.get_config())
    copy.build(shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(x), y)
    assert copy.get_config() == layer.get_config()
    assert layer.compute_output_shape(shape) == tuple(y.shape)


def test_logistics_by_level_are_the_mixtures_probabilities_of_the_levels():
    values = np.random.default_rng(0).normal(size=(50, 12)).astype("float32")
    weights, means, scales = np.split(values.astype(float), 3, axis=1)
    weights = np.exp(weights) / np.exp(weights).sum(axis=1, keepdims=True)
    between = np.linspace(-1, 1, 6)[:-1] + 0.2
    below = logistic.cdf(between[:, None, None], means + np.linspace(-0.75, 0.75, 4), np.exp(scales - 1.5))
    edges = np.concatenate([[np.zeros_like(means)], below, [np.ones_like(means)]])
    expected = (np.diff(edges, axis=0) * weights).sum(axis=-1).T
    np.testing.assert_allclose(np.exp(LogisticsByLevel(6)(values)), expected, atol=1e-5)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("conditioned", [True, False])
def test_gated_block_round_trip_and_equation(restricted, conditioned):
    layer = GatedBlock(6, 3, restricted=restricted, channel_groups=3, conditioned=conditioned)
    rng = np.random.default_rng(0)
    inputs = [*rng.normal(size=(2 + conditioned, 2, 4, 5, 6)).astype("float32")]
    v, h = inputs[:2]
    new_v, new_h = layer(inputs)
    copy = GatedBlock.from_config(layer.get_config())
    copy.build([x.shape for x in inputs])
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(inputs)[1], new_h)

    def gate(x):
        return np.tanh(x[..., :6]) / (1 + np.exp(-x[..., 6:]))

    to_v, to_h = np.split(np.asarray(layer.condition(inputs[2])), 2, axis=-1) if conditioned else (0, 0)
    a = np.asarray(layer.vertical(v)) + to_v
    b = np.asarray(layer.horizontal(h)) + np.asarray(layer.link(a)) + to_h
    np.testing.assert_allclose(new_v, gate(a), atol=1e-5)
    update = np.asarray(layer.out(gate(b).astype("float32")))
    np.testing.assert_allclose(new_h, update if restricted else h + update, atol=1e-5)


IN_A_ROW = """
import keras
from pcnn_keras.network.layers import ResidualBlock
image = keras.Input((6, 6, 4))
network = keras.Model(image, ResidualBlock(4, 3)(ResidualBlock(4, 3)(image)))
network.jit_compile = False
network.predict_on_batch(keras.ops.ones((1, 6, 6, 4)))
"""


def test_tensorflow_has_nothing_to_complain_of():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-c", IN_A_ROW], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr  # it does say something
    assert "remapper failed" not in done.stderr
