"""The fast sampler: the draws of the raster sampler, a row at a time, as one TensorFlow graph.

The vertical stack sees only rows above. So once all rows above are drawn, a row's vertical features
are computed once, from a few cached rows of each layer. What is left is the horizontal stack, and
it is solved by fixed-point iteration with the noise held still (Song et al. 2021, arXiv:2002.03629;
Wiggers & Hoogeboom 2020, arXiv:2002.09928):

    guess the row; repeat: draw every hidden pixel of the row given the guess; until nothing changes

A pixel depends only on those before it, so each round makes at least one more pixel final, and the
one fixed point is what drawing pixel after pixel gives.
"""

from pcnn_keras.data.pixels import scale
from pcnn_keras.inference import noise
from pcnn_keras.network.networks import prior_layers

CHUNK = 32
"""Completions that a core draws at a time: larger chunks were slower (docs/experiments.md)."""


def sampler(model):
    """The compiled sampler of a model.

    Returns:
        A `tf.function` of `levels` int32 `(n, height, width, channels)` (hidden pixels at any level),
        `masks` int32 `(n, height, width, 1)`, `conditional` logits float32 `(n, height, width,
        channels, num_levels)`, `seeds` and `completions` int64 `(n,)`, and `temperature` float32 `()`,
        that returns levels, and log-likelihoods in nats, float32 `(n,)`.
    """
    import tensorflow as tf

    config = model.config
    size = (config.height, config.width, config.channels)
    specs = [tf.TensorSpec((None, *size), tf.int32), tf.TensorSpec((None, *size[:2], 1), tf.int32),
             tf.TensorSpec((None, *size, config.num_levels), tf.float32), tf.TensorSpec((None,), tf.int64),
             tf.TensorSpec((None,), tf.int64), tf.TensorSpec((), tf.float32)]

    @tf.function(input_signature=specs, jit_compile=False, autograph=False)
    def sample(levels, masks, conditional, seeds, completions, temperature):
        gumbel = noise.gumbel(seeds, completions, (*size, config.num_levels))
        return _sample(model, levels, masks, conditional, gumbel, temperature)

    return sample


def _sample(model, levels, masks, conditional, gumbel, temperature):
    import tensorflow as tf

    config = model.config
    blocks, head = prior_layers(model.prior)
    forms, head = [block.row_form() for block in blocks], [layer.row_form() for layer in head]
    hidden = tf.equal(masks, 0)
    levels = tf.where(hidden, 0, levels)
    rows = tf.where(tf.reduce_any(hidden, axis=(0, 2, 3)))[:, 0]
    rows = tf.cast(tf.concat([rows, [config.height]], axis=0), tf.int32)  # never empty
    first, last = rows[0], tf.reduce_max(tf.concat([rows[:-1] + 1, [0]], axis=0))
    caches = _rows_above(blocks, _scaled(levels, config), first, config)
    # From here on a row is `(width, n, …)`, and all rows of something stand one after the other.
    levels, hidden, conditional, gumbel = map(_columns_first, (levels, hidden, conditional, gumbel))

    def row_logits(levels, linked):
        h = _scaled(levels, config)
        for (_, within), link in zip(forms, linked):
            h = within(h, link)
        for layer in head:
            h = layer(h)
        return tf.reshape(h, (config.width, -1, config.channels, config.num_levels))

    def solve(guess, linked, unknown, conditional_row, gumbel_row):
        """Draws one row and scores it. `linked`: what the vertical stack hands to each block there."""

        def redraw(active, drawn, nats):
            """One more round for those completions whose row may not be final yet."""
            known, open_, *link, free, held = (
                tf.gather(x, active, axis=1) for x in (drawn, unknown, *linked, conditional_row, gumbel_row))
            logits = row_logits(known, link) + free
            new = tf.where(open_, draw(logits, held, temperature), known)
            scored = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=new, logits=logits)
            gained = -tf.reduce_sum(tf.where(open_, scored, 0), axis=(0, 2))
            at = active[:, None]
            drawn = tf.transpose(tf.tensor_scatter_nd_update(
                tf.transpose(drawn, (1, 0, 2)), at, tf.transpose(new, (1, 0, 2))), (1, 0, 2))
            nats = tf.tensor_scatter_nd_update(nats, at, gained)
            return tf.boolean_mask(active, tf.reduce_any(new != known, axis=(0, 2))), drawn, nats

        active = tf.cast(tf.where(tf.reduce_any(unknown, axis=(0, 2)))[:, 0], tf.int32)
        _, drawn, nats = tf.while_loop(
            lambda active, *_: tf.size(active) > 0, redraw,
            (active, guess, tf.zeros_like(guess[0, :, 0], tf.float32)),
            # Final after at most a round for each value, and one round more to see that nothing changes.
            maximum_iterations=config.width * config.channels + 1,
            shape_invariants=(tf.TensorShape([None]), guess.shape, tf.TensorShape([None])))
        return drawn, nats

    def step(row, above, levels, nats, caches):
        v, linked, shifted = None, [], []
        for (vertical, _), cache in zip(forms, caches):
            window = cache if v is None else tf.concat([cache, v], axis=-1)
            v, link = vertical(window)
            linked.append(link)
            shifted.append(window[..., -cache.shape[-1] :])
        unknown = hidden[row]
        drawn, gained = solve(tf.where(unknown, above, levels[row]), linked, unknown, conditional[row], gumbel[row])
        shifted[0] = tf.concat([caches[0][..., config.channels :], _scaled(drawn, config)], axis=-1)
        levels = tf.tensor_scatter_nd_update(levels, [[row]], drawn[None])
        return row + 1, drawn, levels, nats + gained, shifted

    nats = tf.zeros_like(levels[0, 0, :, 0], tf.float32)
    above = levels[tf.maximum(first - 1, 0)]  # a row looks like the one above it: the first guess
    _, _, levels, nats, _ = tf.while_loop(
        lambda row, *_: row < last, step, (first, above, levels, nats, caches))
    return tf.transpose(levels, (2, 0, 1, 3)), nats


def _columns_first(x):
    """`(n, height, width, …)` to `(height, width, n, …)`."""
    import tensorflow as tf

    return tf.transpose(x, (1, 2, 0, *range(3, len(x.shape))))


def _scaled(levels, config):
    import tensorflow as tf

    return scale(tf.cast(levels, tf.float32), config.num_levels)


def _rows_above(blocks, image, first, config):
    """For each block, the `kernel_size // 2` rows of its input before row `first`, side by side: one pass."""
    import tensorflow as tf

    reach = config.kernel_size // 2
    widths = [config.channels] + [config.filters] * (len(blocks) - 1)

    def keep(x):
        padded = tf.pad(x, [(0, 0), (reach, 0), (0, 0), (0, 0)])
        kept = tf.transpose(padded[:, tf.shape(padded)[1] - reach :], (2, 0, 1, 3))
        return tf.reshape(kept, (config.width, -1, reach * x.shape[-1]))

    def nothing():
        return [tf.zeros((config.width, tf.shape(image)[0], reach * width)) for width in widths]

    def one_pass():
        v = image[:, :first]
        kept = [keep(v)]
        for block in blocks[:-1]:
            v = block.vertical_stack(v)
            kept.append(keep(v))
        return kept

    return tf.cond(first > 0, one_pass, nothing)


def draw(logits, gumbel, temperature):
    """Levels from logits `(…, num_levels)` and noise of the same shape: the Gumbel-max trick."""
    import tensorflow as tf

    tempered = tf.where(temperature > 0, logits / tf.maximum(temperature, 1e-30) + gumbel, logits)
    return tf.argmax(tempered, axis=-1, output_type=tf.int32)
