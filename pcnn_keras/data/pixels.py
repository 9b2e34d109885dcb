"""Where value ranges change, and nowhere else: bytes, levels, and the network's [0, 1]."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def quantize(images: ArrayLike, num_levels: int) -> np.ndarray:
    """Bytes to levels by equal bins; with two levels, above half is 1.

    Args:
        images: uint8, any shape, 0 … 255.
        num_levels: 2 … 256.

    Returns:
        uint8, the same shape, 0 … num_levels - 1.
    """
    return (np.asarray(images, np.uint16) * num_levels // 256).astype(np.uint8)


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


def conditioning_input(image: Any, mask: Any, concatenate: Callable) -> Any:
    """What the conditioning network sees: the image with hidden pixels at 0, and the mask.

    Args:
        image: float32 `(batch, height, width, channels)` in [0, 1], array or tensor.
        mask: float32 `(batch, height, width, 1)`, 1 = visible, of the same library.
        concatenate: that library's, called as `concatenate([a, b], axis)`.

    Returns:
        float32 `(batch, height, width, channels + 1)`.
    """
    return concatenate([image * mask, mask], -1)
