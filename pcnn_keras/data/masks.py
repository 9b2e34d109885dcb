"""Masks: 1 = visible, 0 = hidden. Random blobs (Algorithm 1) and the fixed masks of `--mask`.

Algorithm 1 grows a blob from a random pixel. It keeps a list of positions; in each iteration every
entry of the list makes each of its eight neighbours visible with probability one half, and the
neighbours so chosen, each as often as it was chosen, are the next list. What would fall outside
the image is not there.

Only how often a position is listed matters, not who listed it. So the list is a grid of counts,
and as every entry decides on its own, a cell's next count is one draw from Binomial(n, 1/2), n
being the sum of its eight neighbours' counts. Blobs do not influence each other either: all of an
image's blobs share one grid, a blob of few iterations starting late.
"""

import os

import numpy as np

from pcnn_keras.config import MOST_BLOBS
from pcnn_keras.data.images import read_image
from pcnn_keras.errors import InputError

COINS = 15
"""Binomial(n, 1/2) is the number of heads among n coins; a random word of 16 bits holds 15, and one to spare."""

MANY = 8000
"""As high as counts go: eight of them, and blobs that start there, still fit into 16 bits."""


def random_blob_masks(batch, height, width, max_num_blobs=4, iter_min=2, iter_max=7, seed=0):
    """Random blob masks by Algorithm 1 (section 4.3), on whichever device this is placed.

    The number of blobs is uniform on 1 … `max_num_blobs`, a blob's iterations on `iter_min` …
    `iter_max` (both ends included), its first pixel on the whole image.

    Args:
        batch: number of masks, at least 1.
        height, width: at least 1.
        max_num_blobs: at least 1.
        iter_min, iter_max: 0 <= iter_min <= iter_max.
        seed: integer from 0 to 2^63 - 1, or a `(2,)` int64 tensor such as (seed, step).

    Returns:
        int32 tensor `(batch, height, width, 1)`, 1 = visible.

    Raises:
        InputError: if a number is out of range.
    """
    import tensorflow as tf

    for name, value, least in (("batch", batch, 1), ("height", height, 1), ("width", width, 1),
                               ("max_num_blobs", max_num_blobs, 1), ("iter_min", iter_min, 0),
                               ("iter_max", iter_max, iter_min)):
        if value < least:
            raise InputError(f"`{name}` must be at least {least}. Received: {value}.")
    if max(max_num_blobs, iter_max) > MOST_BLOBS:
        raise InputError(f"At most {MOST_BLOBS} blobs and iterations. Received: {max_num_blobs} and {iter_max}.")
    if isinstance(seed, (int, np.integer)):
        if not 0 <= seed < 2**63:
            raise InputError(f"`seed` must be from 0 to 2^63 - 1. Received: {seed}.")
        seed = tf.constant([seed, 0], tf.int64)
    number, iterations, place, coins = tf.unstack(tf.random.split(seed, 4))

    def uniform(shape, low, high, seed):
        return tf.random.stateless_uniform(shape, seed, low, high + 1, tf.int32)

    # All grids are flat, (cells, batch), and have one cell beyond the end of each row that stays 0:
    # then a neighbour is a fixed number of cells away, and shifting a grid by cells copies nothing.
    across = width + 1
    inside = np.arange(height * across) % across < width
    blobs = (max_num_blobs, batch)
    exists = tf.range(max_num_blobs)[:, None] < uniform((1, batch), 1, max_num_blobs, number)
    start = iter_max - uniform(blobs, iter_min, iter_max, iterations)
    cell = tf.gather(np.flatnonzero(inside).astype(np.int32), uniform(blobs, 0, height * width - 1, place))
    at = tf.stack([start, cell, tf.broadcast_to(tf.range(batch), blobs)], axis=-1)
    starting = tf.scatter_nd(at, tf.cast(exists, tf.float32), (iter_max + 1, len(inside), batch))
    starting = tf.cast(starting, tf.uint16)

    counts = visible = starting[0]
    highest = tf.constant(np.where(inside, MANY, 0)[:, None], tf.uint16)
    for i, key in enumerate(tf.unstack(tf.random.split(coins, max(iter_max, 1)))[:iter_max]):
        words = tf.random.stateless_uniform((len(inside), -(-batch // 2)), key, None, None, tf.uint32)
        words = tf.reshape(tf.bitcast(words, tf.uint16), (len(inside), -1))[:, :batch]
        counts = tf.minimum(_binomial_half(_sum_of_neighbours(counts, across), words), highest) + starting[i + 1]
        visible = tf.bitwise.bitwise_or(visible, counts)
    visible = tf.reshape(tf.cast(tf.cast(visible, tf.bool), tf.int32), (height, across, batch))
    return tf.transpose(visible[:, :width], (2, 0, 1))[..., None]


def _sum_of_neighbours(counts, across):
    """Over the eight neighbours of each cell of flat grids, `across` cells to a row."""
    import tensorflow as tf

    beyond = tf.zeros((across + 1, counts.shape[1]), counts.dtype)
    padded = tf.concat([beyond, counts, beyond], axis=0)  # tf.pad has no GPU kernel for this type
    rows = padded[: -2 * across] + padded[across:-across] + padded[2 * across :]
    return rows[:-2] + rows[1:-1] + rows[2:] - counts


def _binomial_half(n, words):
    """One draw of Binomial(n, 1/2) a cell. n: uint16; words: 16 random bits a cell, uint16.

    Exact up to 16. What n has beyond 15 adds its half, rounded by the spare coin: such a cell is
    hardly ever empty, which is all that a mask shows of it, and its neighbours see a count of the
    right size.
    """
    import tensorflow as tf

    one = tf.constant(1, tf.uint16)
    few = tf.minimum(n, tf.constant(COINS, tf.uint16))
    coins, spare = tf.bitwise.right_shift(words, one), tf.bitwise.bitwise_and(words, one)
    heads = tf.raw_ops.PopulationCount(x=tf.bitwise.right_shift(coins, COINS - few))
    return tf.cast(heads, tf.uint16) + tf.bitwise.right_shift(n - few + spare, one)


PARAMETERS = {
    "bottom": "ROWS", "top": "ROWS", "left": "COLUMNS", "right": "COLUMNS", "center": "SIDE",
    "edge": "PIXELS", "rect": "ROW,COLUMN,HEIGHT,WIDTH", "hole": "ROW,COLUMN,HEIGHT,WIDTH",
    "random": "SHARE", "blobs": "MAX_NUM,ITER_MIN,ITER_MAX", "all": "", "none": "",
}
"""The kinds of `--mask` and the numbers that each takes after a colon."""


def parse_mask(spec, height, width, files=True):
    """Checks a `--mask` specification and returns how to draw it.

    Args:
        spec: `bottom:7`, `top:14`, `left:14`, `right:14` (rows or columns that stay visible),
            `center:10` (a visible square), `edge:4` (a visible frame), `rect:R,C,H,W` (a visible
            rectangle with its top left at row R, column C), `hole:R,C,H,W` (its complement),
            `random:0.15` (that share of the pixels), `blobs` or `blobs:MAX_NUM,ITER_MIN,ITER_MAX`
            (Algorithm 1), `all`, `none`, or an image file (white = visible; one of another size
            but the same shape is brought to size by its nearest pixels).
        height, width: of the images.
        files: False to take no file.

    Returns:
        A function of a seed (an int) that gives an int32 array `(height, width, 1)`, 1 = visible.
        Only `random` and `blobs` depend on the seed.

    Raises:
        InputError: if the specification is not one of these, or goes beyond the image.
    """
    kind, _, text = spec.partition(":")
    if kind not in PARAMETERS:
        if not files:
            raise InputError(f"Mask {spec!r} is not one of: {_usage()}.")
        if not os.path.isfile(spec):
            raise InputError(f"Mask {spec!r} is neither a file nor one of: {_usage()}.")
        mask = _mask_from_file(spec, height, width)
        return lambda seed: mask
    if kind == "blobs" and not text:
        text = "4,2,7"
    numbers = _numbers(spec, text, PARAMETERS[kind], float if kind == "random" else int)
    if kind == "random":
        if not 0 <= numbers[0] <= 1:
            raise InputError(f"Mask {spec!r}: the share must be from 0 to 1.")
        return lambda seed: _random_pixels(height, width, numbers[0], seed)
    if kind == "blobs":
        if not (1 <= numbers[0] <= MOST_BLOBS and 0 <= numbers[1] <= numbers[2] <= MOST_BLOBS):
            raise InputError(f"Mask {spec!r}: expected 1 <= MAX_NUM <= {MOST_BLOBS} and "
                             f"0 <= ITER_MIN <= ITER_MAX <= {MOST_BLOBS}.")
        return lambda seed: random_blob_masks(1, height, width, *numbers, seed=seed)[0].numpy()
    mask = _fixed_mask(kind, numbers, height, width)
    if mask is None:
        raise InputError(f"Mask {spec!r} goes beyond the image of {width} x {height} pixels.")
    return lambda seed: mask


def mask_batch(spec, batch, height, width, seed):
    """Masks of one specification, drawn by TensorFlow on whichever device this is placed, for training.

    Args:
        spec: as `parse_mask`.
        batch, height, width: of the masks.
        seed: `(2,)` int64 tensor.

    Returns:
        int32 tensor `(batch, height, width, 1)`, 1 = visible.

    Raises:
        InputError: as `parse_mask`.
    """
    import tensorflow as tf

    make = parse_mask(spec, height, width)
    kind, _, text = spec.partition(":")
    if kind == "blobs":
        numbers = _numbers(spec, text or "4,2,7", PARAMETERS[kind], int)
        return random_blob_masks(batch, height, width, *numbers, seed=seed)
    if kind == "random":
        visible = round(float(text) * height * width)
        scores = tf.random.stateless_uniform((batch, height * width), seed)
        chosen = tf.math.top_k(scores, visible).indices
        at = tf.stack([tf.broadcast_to(tf.range(batch)[:, None], chosen.shape), chosen], axis=-1)
        mask = tf.scatter_nd(at, tf.ones_like(chosen), scores.shape)
        return tf.reshape(mask, (batch, height, width, 1))
    return tf.broadcast_to(make(0), (batch, height, width, 1))


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


def _fixed_mask(kind, numbers, height, width):
    """The mask, or None if it goes beyond the image."""
    mask = np.zeros((height, width, 1), np.int32)
    if kind in ("rect", "hole"):
        row, column, rows, columns = numbers
    elif kind in ("all", "none"):
        row, column, rows, columns = 0, 0, height, width
    elif kind in ("top", "bottom"):
        rows, columns, column = numbers[0], width, 0
        row = 0 if kind == "top" else height - rows
    elif kind in ("left", "right"):
        rows, columns, row = height, numbers[0], 0
        column = 0 if kind == "left" else width - columns
    elif kind == "center":
        rows = columns = numbers[0]
        row, column = (height - rows) // 2, (width - columns) // 2
    else:  # the frame is what the rectangle inside it leaves
        row = column = numbers[0]
        rows, columns = max(height - 2 * row, 0), max(width - 2 * column, 0)
        if 2 * row > min(height, width) + 1:
            return None
    if min(row, column, rows, columns) < 0 or max(row + rows - height, column + columns - width) > 0:
        return None
    mask[row : row + rows, column : column + columns] = 1
    return 1 - mask if kind in ("hole", "edge", "none") else mask


def _random_pixels(height, width, share, seed):
    mask = np.zeros(height * width, np.int32)
    mask[: round(share * mask.size)] = 1
    return np.random.default_rng(seed).permutation(mask).reshape(height, width, 1)


def _mask_from_file(path, height, width):
    mask = read_image(path, channels=1)
    if mask.shape[0] * width != mask.shape[1] * height:
        raise InputError(f"Mask {path}: expected an image of {width} x {height} pixels, or of that shape. "
                         f"Received: {mask.shape[1]} x {mask.shape[0]}.")
    rows = np.arange(height) * mask.shape[0] // height
    columns = np.arange(width) * mask.shape[1] // width
    return (mask[rows][:, columns] >= 128).astype(np.int32)
