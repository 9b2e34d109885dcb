"""Where value ranges change, and nowhere else: bytes, levels, and the network's [0, 1]."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pcnn_keras.errors import InputError, expect_whole

AT_A_TIME = 2**20
"""Bytes: a whole data set in 16 bits would need four times its memory."""


def quantize(images: ArrayLike, num_levels: int) -> np.ndarray:
    """Bytes to levels by equal bins; with two levels, above half is 1.

    Args:
        images: uint8, any shape, 0 … 255.
        num_levels: 2 … 256.

    Returns:
        uint8, the same shape, 0 … num_levels - 1.

    Raises:
        InputError: if the images or the number of levels are not these.
    """
    num_levels, images = expect_whole("num_levels", num_levels, 2, 256), np.asarray(images)
    if images.dtype != np.uint8:
        raise InputError(f"Images must be uint8 from 0 to 255. Received: {images.dtype}{_range(images)}.")
    flat = np.ascontiguousarray(images).reshape(-1)
    levels = np.empty_like(flat)
    for start in range(0, flat.size, AT_A_TIME):
        levels[start : start + AT_A_TIME] = flat[start : start + AT_A_TIME].astype(np.uint16) * num_levels // 256
    return levels.reshape(images.shape)


def as_array(name: str, values: Any) -> np.ndarray:
    """`np.asarray`; what it cannot do is an `InputError`."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"`{name}` is not an array of numbers.") from error


def to_levels(image: ArrayLike, levels: Any) -> np.ndarray:
    """A picture as a model has it: levels, by equal bins.

    Args:
        image: uint8 0 … 255, or floats in [0, 1]; any shape.
        levels: how many there are, 2 … 256, or the model or `Config` that has them.

    Returns:
        uint8, the same shape, 0 … num_levels - 1.

    Raises:
        InputError: if the image or the number of levels is not one of these.
    """
    num_levels, values = _num_levels(levels), as_array("image", image)
    if values.dtype.kind == "f" and ((values >= 0) & (values <= 1)).all():
        values = np.round(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise InputError("`image` must be uint8 from 0 to 255, or floats from 0 to 1. Received: "
                         f"{values.dtype}{_range(values)}.")
    return quantize(values, num_levels)


def to_pixels(image: ArrayLike, levels: Any) -> np.ndarray:
    """The inverse of `to_levels`: what a screen shows.

    Args:
        image: whole numbers 0 … num_levels - 1; any shape.
        levels: how many there are, 2 … 256, or the model or `Config` that has them.

    Returns:
        uint8, the same shape, 0 … 255. `to_levels` gives the levels back.

    Raises:
        InputError: if the image holds something else, or the number of levels is not one of these.
    """
    num_levels, values = _num_levels(levels), as_array("image", image)
    if values.dtype.kind not in "bui" or values.size and not 0 <= values.min() <= values.max() < num_levels:
        raise InputError(f"`image` must hold whole numbers from 0 to {num_levels - 1}. Received: "
                         f"{values.dtype}{_range(values)}.")
    return to_bytes(values, num_levels)


def _num_levels(levels):
    """Of a model, of a `Config`, or the number itself."""
    levels = getattr(levels, "config", levels)
    return expect_whole("levels", getattr(levels, "num_levels", levels), 2, 256)


def _range(values):
    return f" from {values.min()} to {values.max()}" if values.size and values.dtype.kind in "buif" else ""


def scale(levels: Any, num_levels: int) -> Any:
    """Levels to network input: float32, `level / (num_levels - 1)`, in [0, 1].

    Works on anything that multiplies with a float, NumPy array or tensor, once it is float32.
    """
    return levels * np.float32(1.0 / (num_levels - 1))


def to_bytes(levels: ArrayLike, num_levels: int) -> np.ndarray:
    """Levels to what a screen shows: uint8, 0 … 255. `quantize` gives the levels back, so PNG files keep them."""
    levels = np.asarray(levels, np.int32)
    lowest, above = -(-levels * 256 // num_levels), -(-(levels + 1) * 256 // num_levels)
    return np.clip(np.round(levels * (255 / (num_levels - 1))), lowest, above - 1).astype(np.uint8)


def expected_bytes(probabilities: np.ndarray) -> np.ndarray:
    """Expected brightness of each pixel: uint8 `(…, height, width, channels)` from `(…, channels, num_levels)`."""
    num_levels = probabilities.shape[-1]
    return (probabilities @ np.arange(num_levels) * (255 / (num_levels - 1))).round().astype(np.uint8)
