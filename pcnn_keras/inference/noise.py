"""The noise of a completion: a function of seed, completion, pixel, channel and level alone.

Drawing a level is the Gumbel-max trick: argmax over levels of logits / temperature + g, where g
holds one Gumbel variate a level. Each completion has its own stream of SplitMix64 (Steele, Lea &
Flood, OOPSLA 2014), started from a hash of seed and completion number, and position n of the
stream belongs to one (pixel, channel, level). So nothing depends on how many completions are asked
for, on their place in a batch, or on the version of a library's generator.
"""

import math

import tensorflow as tf

GOLDEN = 0x9E3779B97F4A7C15


def gumbel(seeds, completions, positions):
    """Gumbel noise.

    Args:
        seeds: int64 tensor `(n,)`, the seed of each row, at least 0.
        completions: int64 tensor `(n,)`, the completion number of each row.
        positions: int64 tensor of any shape, of the stream's positions, from 1 up.

    Returns:
        float32 tensor `(n, *shape)`, the shape being that of `positions`.
    """
    def unsigned(x):
        return tf.cast(x, tf.uint64)

    golden = tf.constant(GOLDEN, tf.uint64)
    streams = _mix(_mix(unsigned(seeds)) + golden * unsigned(completions))
    bits = _mix(streams[:, None] + golden * unsigned(tf.reshape(positions, [-1])))
    # 23 bits and a half: never 0 nor 1, and exact in float32.
    high = tf.cast(tf.bitwise.right_shift(bits, tf.constant(41, tf.uint64)), tf.float32)
    uniform = (high + 0.5) * 2.0**-23
    return tf.reshape(-tf.math.log(-tf.math.log(uniform)), tf.concat([[-1], tf.shape(positions)], axis=0))


def pixel_positions(config):
    """The positions of an image's pixels, int64 `(height, width, channels, num_levels)`: raster order, from 1 up."""
    shape = (config.height, config.width, config.channels, config.num_levels)
    return tf.reshape(tf.range(1, math.prod(shape) + 1, dtype=tf.int64), shape)


def _mix(x):
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint64)))
        x = x * tf.constant(factor, tf.uint64)
    return x
