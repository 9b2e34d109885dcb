"""The fixed and random masks of `--mask`: 1 = visible, 0 = hidden. All but blobs need NumPy and Pillow alone."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pcnn_keras.config import MOST_BLOBS, MOST_VALUES, Config
from pcnn_keras.data.images import pixels_of
from pcnn_keras.data.prepare import Picture, centre_picture
from pcnn_keras.errors import InputError, expect_whole, shown

PARAMETERS = {
    "bottom": "ROWS", "top": "ROWS", "left": "COLUMNS", "right": "COLUMNS", "center": "SIDE",
    "edge": "PIXELS", "rect": "ROW,COLUMN,HEIGHT,WIDTH", "hole": "ROW,COLUMN,HEIGHT,WIDTH",
    "random": "SHARE", "blobs": "MAX_NUM,ITER_MIN,ITER_MAX", "all": "", "none": "",
}
"""The kinds of `--mask` and the numbers that each takes after a colon."""

FUNCTION = "function"
"""What a setting `masks` begins with, before a colon and a name, where a function of the caller's draws them."""


MOST_GREY = 1 / 4
"""Of the pixels of a mask that was painted, that may be between dark and bright, 64 to 191: photos have more, and so do
red and green."""


class MaskKind(NamedTuple):
    """A checked specification: one of the names of `PARAMETERS` with its numbers, or "file" with a path."""

    name: str
    numbers: tuple


def parse_mask(spec: str, height: int, width: int) -> Callable[[int], np.ndarray]:
    """Checks a `--mask` specification and returns how to draw it.

    Args:
        spec: `bottom:7`, `top:14`, `left:14`, `right:14` (rows or columns that stay visible),
            `center:10` (a visible square), `edge:4` (a visible frame), `rect:R,C,H,W` (a visible
            rectangle with its top left at row R, column C), `hole:R,C,H,W` (its complement),
            `random:0.15` (that share of the pixels), `blobs` or `blobs:MAX_NUM,ITER_MIN,ITER_MAX`
            (Algorithm 1), `all`, `none`, or an image file or pipe (white = visible; see `fit_mask`).
        height, width: of the images.

    Returns:
        A function of a seed (an int, 0 … 2^63 - 1) that gives an int32 array `(height, width, 1)`, 1 = visible.
        Only `random` and `blobs` depend on the seed; `blobs` needs TensorFlow.

    Raises:
        InputError: if the specification is not one of these, or goes beyond the image; from the function, if the seed
            is not one of these.
    """
    height, width = expect_whole("height", height, 1, MOST_VALUES), expect_whole("width", width, 1, MOST_VALUES)
    if height * width > MOST_VALUES:
        raise InputError(f"A mask of {width} x {height} pixels is too large.")
    kind = mask_kind(spec)
    if kind.name not in RANDOM:
        if kind.name == "file":
            mask = mask_of(spec, height, width)(0)
        else:
            mask = _fixed_mask(kind, height, width)
        if mask is None:
            raise InputError(f"Mask {spec!r} goes beyond the image of {width} x {height} pixels.")

    def draw(seed):
        seed = expect_whole("seed", seed, 0, 2**63 - 1)
        return RANDOM[kind.name](height, width, *kind.numbers, seed) if kind.name in RANDOM else mask.copy()

    return draw


def mask_kind(spec: str, files: bool = True) -> MaskKind:
    """Which kind of mask a specification asks for.

    Args:
        spec: as `parse_mask` takes it, which finds out in addition whether it fits into the image.
        files: False to take no file.

    Raises:
        InputError: if it is none.
    """
    if not isinstance(spec, str):
        raise InputError(f"A mask specification must be text. Received: {shown(spec)}.")
    name, _, text = spec.partition(":")
    if name == FUNCTION:
        raise InputError(f"The function {text} draws these masks: train in Python, with pcnn.train(masks={text}), "
                         "or give --masks.")
    if name not in PARAMETERS:
        if not files:
            raise InputError(f"Mask {spec!r} is not one of: {_usage()}.")
        if not os.path.exists(spec):
            raise InputError(f"Mask {spec!r} is neither a file nor one of: {_usage()}.")
        return MaskKind("file", (spec,))
    if name == "blobs":
        text = text or Config().blobs.partition(":")[2]  # the paper's
    numbers = _numbers(spec, text, PARAMETERS[name], float if name == "random" else int)
    if name == "random" and not 0 <= numbers[0] <= 1:
        raise InputError(f"Mask {spec!r}: the share must be from 0 to 1.")
    if name == "blobs" and not (1 <= numbers[0] <= MOST_BLOBS and 0 <= numbers[1] <= numbers[2] <= MOST_BLOBS):
        raise InputError(f"Mask {spec!r}: expected 1 <= MAX_NUM <= {MOST_BLOBS} and "
                         f"0 <= ITER_MIN <= ITER_MAX <= {MOST_BLOBS}.")
    return MaskKind(name, numbers)


def _usage():
    return ", ".join(kind + (":" + names if names else "") for kind, names in PARAMETERS.items())


def _numbers(spec, text, names, kind):
    count = len(names.split(",")) if names else 0
    try:
        numbers = tuple(kind(part) for part in text.split(",")) if text else ()
    except ValueError:
        numbers = None
    if numbers is None or len(numbers) != count:
        raise InputError(f"Mask {spec!r}: expected {names or 'nothing'} after the name. "
                         f"Received: {text!r}.")
    return numbers


def _fixed_mask(kind, height, width):
    """The mask, or None if it goes beyond the image."""
    (name, numbers), mask = kind, np.zeros((height, width, 1), np.int32)
    if name in ("rect", "hole"):
        row, column, rows, columns = numbers
    elif name in ("all", "none"):
        row, column, rows, columns = 0, 0, height, width
    elif name in ("top", "bottom"):
        rows, columns, column = numbers[0], width, 0
        row = 0 if name == "top" else height - rows
    elif name in ("left", "right"):
        rows, columns, row = height, numbers[0], 0
        column = 0 if name == "left" else width - columns
    elif name == "center":
        rows = columns = numbers[0]
        row, column = (height - rows) // 2, (width - columns) // 2
    elif name == "edge":  # the frame is what the rectangle inside it leaves
        row = column = numbers[0]
        rows, columns = max(height - 2 * row, 0), max(width - 2 * column, 0)
        if 2 * row > min(height, width) + 1:
            return None
    if min(row, column, rows, columns) < 0 or max(row + rows - height, column + columns - width) > 0:
        return None
    mask[row : row + rows, column : column + columns] = 1
    return 1 - mask if name in ("hole", "edge", "none") else mask


def _random_pixels(height, width, share, seed):
    mask = np.zeros(height * width, np.int32)
    mask[: round(share * mask.size)] = 1
    return np.random.default_rng(seed).permutation(mask).reshape(height, width, 1)


def _blobs(height, width, max_num_blobs, iter_min, iter_max, seed):
    from pcnn_keras.data.blobs import random_blob_masks  # with TensorFlow, which no other mask needs

    return random_blob_masks(1, height, width, max_num_blobs, iter_min, iter_max, seed)[0].numpy()


RANDOM: dict[str, Callable] = {"random": _random_pixels, "blobs": _blobs}
"""The kinds that a seed draws, and how."""


def mask_of(mask: Any, height: int, width: int, hides: bool = False) -> Callable[..., np.ndarray]:
    """How to draw the mask that a caller names or has.

    Args:
        mask: a specification as `parse_mask` takes it, a path, or a PIL image.
        height, width, hides: as `fit_mask`.

    Returns:
        A function of a seed, an int, and of the `Picture` that the mask is for, or None: as `fit_mask`.

    Raises:
        InputError: as `parse_mask`, or if more of it than `MOST_GREY` is between; from the function, as `fit_mask`.
    """
    if isinstance(mask, str) and mask_kind(mask).name != "file":
        make = parse_mask(mask, height, width)
        return lambda seed, picture=None: make(seed)
    painted, name = pixels_of("mask", mask, 1), mask if isinstance(mask, (str, Path)) else "given"
    if ((painted >= 64) & (painted < 192)).mean() > MOST_GREY:
        raise InputError(f"Mask {name} is no mask: more than {MOST_GREY:.0%} of it is neither dark nor bright.")
    return lambda seed, picture=None: fit_mask(name, painted, height, width, picture, hides)


def fit_mask(name: Any, painted: np.ndarray, height: int, width: int, picture: Picture | None = None,
             hides: bool = False) -> np.ndarray:
    """A mask that was painted, for a model's image.

    Args:
        name: of the mask, for the error.
        painted: uint8 `(h, w, 1)`, 128 and above is visible: of the picture's size or shape, and then it goes the way
            of the picture; or of the model's. A mask of the model's size is the model's, unless the picture has that
            size, too. A pixel is visible if at least half of it is.
        height, width: of the image.
        picture: which the mask is for, or None.
        hides: True if 128 and above is hidden, as other inpainting tools have it.

    Returns:
        int32 `(height, width, 1)`, 1 = visible.

    Raises:
        InputError: if the mask is of none of these sizes.
    """
    rows, columns = size = painted.shape[:2]
    if picture and (size == picture.size or size != (height, width) and _same_shape(size, picture.size)):
        way = picture
    elif rows * width == columns * height:
        way = centre_picture(painted, height, width)
    else:
        own = f" or that of the picture's {picture.size[1]} x {picture.size[0]}" if picture else ""
        raise InputError(f"Mask {name}: expected an image of {width} x {height} pixels, or of that shape{own}. "
                         f"Received: {columns} x {rows}.")
    bright = way.follow(np.where(painted >= 128, 255, 0).astype(np.uint8)) >= 128
    return (bright != hides).astype(np.int32)


def _same_shape(one, other):
    """Whether two images are of one shape, height to width: rounded sides are off by half a pixel."""
    (rows, columns), (height, width) = one, other
    return 2 * abs(rows * width - columns * height) <= height + width


def mask_specs(config):
    """The six masks that models are judged by, as `--mask` has them, by name: blobs are those of the training."""
    others = (config.bottom, f"top:{config.height // 2}", f"left:{config.width // 2}",
              "random:0.15", "none")
    return {"blobs": config.blobs, **{spec: spec for spec in others}}
