"""The noise is promised: the same for ever, and never the same twice."""

import numpy as np

from pcnn_keras.config import Config
from pcnn_keras.inference.noise import gumbel, pixel_positions

SHAPE = (2, 3, 3, 4)


def noise(pairs, shape=SHAPE):
    seeds, completions = np.array(pairs, np.int64).T
    positions = np.arange(1, np.prod(shape) + 1).reshape(shape)
    return gumbel(seeds, completions, positions).numpy()


def test_positions_are_in_raster_order_from_one():
    found = pixel_positions(Config(height=2, width=3, channels=3, num_levels=4))
    np.testing.assert_array_equal(found, np.arange(1, 73).reshape(2, 3, 3, 4))


def test_the_promised_values():
    expected = {(0, 0): [2.0868442, 0.1738502, -1.2900898, 3.5216599],
                (1, 0): [-0.3097075, -0.8865507, -0.2120157, 0.5644708],
                (2**63 - 1, 4095): [-0.2247603, 2.1006473, 0.9476543, 1.9267928]}
    found = noise(list(expected), (1, 2, 1, 2)).reshape(3, 4)
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-6)


def test_seeds_completions_pixels_channels_and_levels_share_no_noise():
    """Neither the stream of (seed, k) with that of (seed + 1, k - 1), nor a stream with another a step later."""
    values = noise([(seed, k) for seed in range(6) for k in range(8)])
    assert np.unique(values).size > values.size - 3  # of 2^23 values, one pair by chance
