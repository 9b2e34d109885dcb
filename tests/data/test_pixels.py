"""Bytes, levels and the network's [0, 1]."""

from types import SimpleNamespace

import numpy as np
import pytest

import pcnn_keras as pcnn
from pcnn_keras.data.pixels import quantize, scale, to_bytes

BYTES = np.arange(256, dtype=np.uint8)
EVERY_NUMBER = range(2, 257)


@pytest.mark.parametrize("num_levels", [2, 3, 4, 5, 32, 255, 256])
def test_bins_are_in_order_of_equal_width_and_none_is_empty(num_levels):
    levels = quantize(BYTES, num_levels)
    assert levels.dtype == np.uint8
    assert (np.diff(levels.astype(int)) >= 0).all()
    widths = np.bincount(levels)
    assert len(widths) == num_levels
    assert widths.max() - widths.min() <= 1
    assert widths.max() == widths.min() or 256 % num_levels


def test_with_two_levels_above_half_is_1():
    np.testing.assert_array_equal(quantize(BYTES, 2), BYTES / 255 > 0.5)


def test_quantize_keeps_the_shape_and_its_argument():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)
    before = images.copy()
    assert quantize(images, 32).shape == images.shape
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("images", [np.zeros(3), np.arange(3), np.array(["a"])])
def test_quantize_takes_bytes_alone(images):
    with pytest.raises(pcnn.InputError, match="must be uint8 from 0 to 255. Received: "):
        quantize(images, 2)


def test_scale_is_level_over_the_highest_level():
    for num_levels in EVERY_NUMBER:
        levels = np.arange(num_levels)
        scaled = scale(levels.astype(np.float32), num_levels)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(scaled, levels / (num_levels - 1), rtol=1e-6)
        assert scaled.min() == 0 and scaled.max() <= 1


def test_to_bytes_goes_from_black_to_white_in_even_steps():
    for num_levels in EVERY_NUMBER:
        shown = to_bytes(np.arange(num_levels), num_levels)
        assert shown.dtype == np.uint8
        assert (shown[0], shown[-1]) == (0, 255)
        assert np.ptp(np.diff(shown.astype(int))) <= 1


def test_what_is_shown_quantizes_to_the_levels_it_was_made_from():
    for num_levels in EVERY_NUMBER:
        levels = np.arange(num_levels)
        np.testing.assert_array_equal(quantize(to_bytes(levels, num_levels), num_levels), levels)


@pytest.mark.parametrize("num_levels", [2, 3, 8, 256])
def test_pictures_become_levels_and_levels_pictures(num_levels):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    levels = pcnn.to_levels(pixels, num_levels)
    np.testing.assert_array_equal(levels, quantize(pixels, num_levels))
    np.testing.assert_array_equal(pcnn.to_levels(pixels / 255, num_levels), levels)
    np.testing.assert_array_equal(pcnn.to_levels(pcnn.to_pixels(levels.astype(int), num_levels), num_levels), levels)


def test_how_many_levels_there_are_a_model_or_its_config_says():
    config = pcnn.Config.preset("digits")
    for levels in (config, SimpleNamespace(config=config)):
        assert pcnn.to_levels(np.full(3, 255, np.uint8), levels).tolist() == [3] * 3
        assert pcnn.to_pixels([3], levels).tolist() == [255]


@pytest.mark.parametrize("image, levels", [
    (np.array([0, 1]), 2), (np.array([1.5]), 2), (np.array([np.nan]), 2), (np.array(["a"]), 2),
    (np.zeros(2, np.uint8), 1), (np.zeros(2, np.uint8), "two"), (None, 2)])
def test_what_is_neither_bytes_nor_shares_becomes_no_levels(image, levels):
    with pytest.raises(pcnn.InputError, match="`image` must be uint8|`levels` must be"):
        pcnn.to_levels(image, levels)


@pytest.mark.parametrize("image", [[0, 2], [-1], [0.5], ["a"]])
def test_what_is_no_level_becomes_no_picture(image):
    with pytest.raises(pcnn.InputError, match="`image` must hold whole numbers from 0 to 1"):
        pcnn.to_pixels(image, 2)
