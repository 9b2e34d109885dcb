"""Random blob masks, Algorithm 1 of the paper (section 4.3): 1 = visible, 0 = hidden.

Algorithm 1 grows a blob from a random pixel. It keeps a list of positions; in each iteration every
entry of the list makes each of its eight neighbours visible with probability one half, and the
neighbours so chosen, each as often as it was chosen, are the next list. What would fall outside
the image is not there.

Only how often a position is listed matters, not who listed it. So the list is a grid of counts,
and as every entry decides on its own, a cell's next count is one draw from Binomial(n, 1/2), n
being the sum of its eight neighbours' counts. Blobs do not influence each other either: all of an
image's blobs share one grid, a blob of few iterations starting late.
"""

import numpy as np
import tensorflow as tf

from pcnn_keras.config import MOST_BLOBS
from pcnn_keras.errors import InputError, expect_whole

COINS = 15
"""Binomial(n, 1/2) is the number of heads among n coins; a random word of 16 bits holds 15, and one to spare."""

MANY = 8000
"""As high as counts go: eight of them, and blobs that start there, still fit into 16 bits."""

MOST_CELLS = 2**30
"""Pixels of all masks of one call, times iterations: what is kept in memory at once."""

CELLS_OF_BLOB = 6
"""Where and when a blob starts takes as much memory as so many cells."""


def most_masks(height, width, max_num_blobs, iter_max):
    """How many masks one call of `random_blob_masks` draws at most."""
    return MOST_CELLS // (height * (width + 1) * (iter_max + 1) + CELLS_OF_BLOB * max_num_blobs)


def random_blob_masks(batch: int, height: int, width: int, max_num_blobs: int = 4, iter_min: int = 2, iter_max: int = 7,
                      seed: int | tf.Tensor = 0) -> tf.Tensor:
    """Random blob masks, on whichever device this is placed.

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
        InputError: if a number is out of range: of blobs and of iterations at most `MOST_BLOBS`; or if these would be
            too many masks for memory.
    """
    batch, height, width = (expect_whole(name, value, 1, 2**31 - 1)
                            for name, value in (("batch", batch), ("height", height), ("width", width)))
    max_num_blobs = expect_whole("max_num_blobs", max_num_blobs, 1, MOST_BLOBS)
    iter_min = expect_whole("iter_min", iter_min, 0, MOST_BLOBS)
    iter_max = expect_whole("iter_max", iter_max, iter_min, MOST_BLOBS)
    if batch > most_masks(height, width, max_num_blobs, iter_max):
        raise InputError(f"{batch} masks of {width} x {height} pixels and up to {max_num_blobs} blobs at once "
                         "are too many.")
    if not (isinstance(seed, (tf.Tensor, np.ndarray)) and seed.shape == (2,) and seed.dtype in (tf.int32, tf.int64)):
        seed = tf.constant([expect_whole("seed", seed, 0, 2**63 - 1), 0], tf.int64)
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
    one = tf.constant(1, tf.uint16)
    few = tf.minimum(n, tf.constant(COINS, tf.uint16))
    coins, spare = tf.bitwise.right_shift(words, one), tf.bitwise.bitwise_and(words, one)
    heads = tf.raw_ops.PopulationCount(x=tf.bitwise.right_shift(coins, COINS - few))
    return tf.cast(heads, tf.uint16) + tf.bitwise.right_shift(n - few + spare, one)
