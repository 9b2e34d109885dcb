"""The fast sampler: the draws of the raster sampler, a row at a time, as one TensorFlow graph.

The vertical stack sees only rows above. So once all rows above are drawn, a row's vertical features
are computed once, from a few cached rows of each layer. What is left is the horizontal stack, and
it is solved by fixed-point iteration with the noise held still (Song et al. 2021, arXiv:2002.03629;
Wiggers & Hoogeboom 2020, arXiv:2002.09928):

    guess the row; repeat: draw every hidden pixel of the row given the guess; until nothing changes

A pixel depends only on those before it, so each round makes at least one more pixel final, and the
one fixed point is what drawing pixel after pixel gives.
"""

from pcnn_keras import noise
from pcnn_keras.networks import prior_layers
from pcnn_keras.pixels import scale


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
    blocks, _ = prior_layers(model.prior)
    hidden = tf.equal(masks, 0)
    levels = tf.where(hidden, 0, levels)
    rows = tf.where(tf.reduce_any(hidden, axis=(0, 2, 3)))[:, 0]
    rows = tf.cast(tf.concat([rows, [config.height]], axis=0), tf.int32)  # never empty
    first, last = rows[0], tf.reduce_max(tf.concat([rows[:-1] + 1, [0]], axis=0))

    def solve(row, linked, known):
        """Draws one row and scores it. `linked`: what the vertical stack hands to each block there."""
        unknown, prior_free, held = (x[:, row][:, None] for x in (hidden, conditional, gumbel))

        def round_(_, guess, __):
            logits = _row_logits(model, scale(tf.cast(guess, tf.float32), config.num_levels), linked)
            logits += prior_free
            drawn = tf.where(unknown, draw(logits, held, temperature), known)
            return tf.reduce_any(drawn != guess), drawn, logits

        # Final after at most a round for each value, and one round more to see that nothing changes.
        _, drawn, logits = tf.while_loop(lambda changed, *_: changed, round_, (True, known, prior_free),
                                         maximum_iterations=config.width * config.channels + 1)
        scored = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=drawn, logits=logits)
        return drawn, -tf.reduce_sum(tf.where(unknown, scored, 0), axis=(1, 2, 3))

    def step(row, levels, nats, caches):
        v, linked, shifted = None, [], []
        for block, cache in zip(blocks, caches):
            window = cache if v is None else tf.concat([cache, v], axis=1)
            v, link = block.vertical_row(window)
            linked.append(link)
            shifted.append(window[:, 1:])
        drawn, gained = solve(row, linked, levels[:, row][:, None])
        shifted[0] = tf.concat([shifted[0], scale(tf.cast(drawn, tf.float32), config.num_levels)], axis=1)
        at_row = tf.range(config.height)[:, None, None] == row
        return row + 1, tf.where(at_row, drawn, levels), nats + gained, shifted

    caches = _rows_above(blocks, scale(tf.cast(levels, tf.float32), config.num_levels), first, config)
    nats = tf.zeros_like(levels[:, 0, 0, 0], tf.float32)
    _, levels, nats, _ = tf.while_loop(lambda row, *_: row < last, step, (first, levels, nats, caches))
    return levels, nats


def _rows_above(blocks, image, first, config):
    """For each block, the last `kernel_size // 2` rows before row `first` of what it reads: one pass."""
    import tensorflow as tf

    reach = config.kernel_size // 2

    def keep(x):
        padded = tf.pad(x, [(0, 0), (reach, 0), (0, 0), (0, 0)])
        kept = padded[:, tf.shape(padded)[1] - reach :]
        return tf.ensure_shape(kept, (None, reach, config.width, x.shape[-1]))

    def nothing():
        width = [config.channels] + [config.filters] * (len(blocks) - 1)
        return [tf.zeros((tf.shape(image)[0], reach, config.width, w)) for w in width]

    def one_pass():
        v = image[:, :first]
        kept = [keep(v)]
        for block in blocks[:-1]:
            v = block.vertical_stack(v)
            kept.append(keep(v))
        return kept

    return tf.cond(first > 0, one_pass, nothing)


def _row_logits(model, h, linked):
    """Prior logits of one row, `(n, 1, width, channels, num_levels)`, from the row itself."""
    import tensorflow as tf

    blocks, head = prior_layers(model.prior)
    for block, link in zip(blocks, linked):
        h = block.horizontal_stack(h, link)
    for layer in head:
        h = layer(h)
    return tf.reshape(h, (-1, 1, model.config.width, model.config.channels, model.config.num_levels))


def draw(logits, gumbel, temperature):
    """Levels from logits `(…, num_levels)` and noise of the same shape: the Gumbel-max trick."""
    import tensorflow as tf

    tempered = tf.where(temperature > 0, logits / tf.maximum(temperature, 1e-30) + gumbel, logits)
    return tf.argmax(tempered, axis=-1, output_type=tf.int32)
