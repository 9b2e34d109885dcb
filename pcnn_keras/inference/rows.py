"""The fast sampler: the draws of the raster sampler, a row at a time, as one TensorFlow graph.

The vertical stack sees only rows above. So once all rows above are drawn, a row's vertical features
are computed once, from a few cached rows of each layer. What is left is the horizontal stack, and
it is solved by fixed-point iteration with the noise held still (Song et al. 2021, arXiv:2002.03629;
Wiggers & Hoogeboom 2020, arXiv:2002.09928):

    guess the row; repeat: draw every hidden pixel of the row given the guess; until nothing changes

A pixel depends only on those before it, so each round makes at least one more value final, and the
one fixed point is what drawing pixel after pixel gives.

A row is `(width, n, …)`: columns, then completions. Completions of one image whose rows above are the same
have one past, and all that depends on it alone is computed once; so is the answer to one guess after one past.
At the beginning each image is a past, whose context is what the conditioning network says of it. In slices (see
`data.slices`) that holds for the first; what is said of a later one depends on what was drawn before, so each
completion is a past of its own.
"""

import weakref
from typing import Any, NamedTuple

import tensorflow as tf

from pcnn_keras.data.pipeline import model_inputs
from pcnn_keras.data.pixels import scale
from pcnn_keras.data.slices import join, slice_of
from pcnn_keras.inference.noise import gumbel, pixel_positions
from pcnn_keras.network.layers import Merge, split_by_stack
from pcnn_keras.network.networks import logits_layer, prior_layers

CHUNK = 32
"""Completions that a core draws at a time: larger chunks were slower (docs/experiments.md)."""

HIGHEST_TEMPERATURE = 1e30
"""Beyond it nothing is left of the logits, and float32 ends."""


class Row(NamedTuple):
    """All that is known of a row before it is drawn, for each of m pasts.

    Fields:
        unknown: bool `(width, m, 1)`, where pixels are hidden.
        linked: for each gated block, what the rows above and the visible pixels add to its horizontal
            stack, `(width, m, 2 * filters)`.
        context: of the conditioning network's outputs, those that are merged with the prior's logits.
    """

    unknown: tf.Tensor
    linked: list
    context: dict

    def take(self, pasts):
        """The same of some of the pasts, as often as they are named."""
        return tf.nest.map_structure(lambda x: tf.gather(x, pasts, axis=1), self)


class Drawing(NamedTuple):
    """How far n completions with m pasts are.

    Fields:
        row: the next to be drawn.
        above: levels of the one before it, `(width, n, channels)`.
        levels: of all rows, `(height, width, n, channels)`.
        nats: log-likelihood of what is drawn, `(n,)`.
        past_of: the past of each completion, `(n,)`.
        image_of: the image of each past, `(m,)`.
        caches: of each past, see `RowPrior.rows_above`.
    """

    row: tf.Tensor
    above: tf.Tensor
    levels: tf.Tensor
    nats: tf.Tensor
    past_of: tf.Tensor
    image_of: tf.Tensor
    caches: list


class RowPrior:
    """The prior's layers in their row-wise forms, with the weights as they are now."""

    def __init__(self, model):
        self.config = model.config
        self.height, self.width = self.config.slice_size
        self._blocks, head = prior_layers(model.prior)
        self._vertical, self._horizontal = zip(*(block.row_form() for block in self._blocks))
        self._head = [layer.row_form() for layer in head]
        self._merge = Merge(dtype="float32")
        self._by_level = logits_layer(self.config, dtype="float32")

    def conditions(self, features):
        """What features of a row, `(width, m, filters)` or None, add to each block: one product for all of them."""
        if features is None:
            return [()] * len(self._blocks)
        kernels = [block.condition.kernel[0, 0] for block in self._blocks]
        products = tf.split(tf.matmul(features, tf.concat(kernels, axis=-1)), len(kernels), axis=-1)
        return [split_by_stack(product) for product in products]

    def rows_above(self, image, features, first):
        """The caches before row `first`: of each block's input, the rows that its kernel reaches up to.

        Args:
            image: `(m, height, width, channels)` in [0, 1]; features: `(m, height, width, filters)` or None.

        Returns:
            For each block `(width, m, kernel_size // 2 * in_channels)`, upper rows first; zeros above the image.
        """
        reach = self.config.kernel_size // 2

        def keep(x):
            padded = tf.pad(x, [(0, 0), (reach, 0), (0, 0), (0, 0)])
            kept = tf.transpose(padded[:, tf.shape(padded)[1] - reach :], (2, 0, 1, 3))
            return tf.reshape(kept, (self.width, -1, reach * x.shape[-1]))

        def nothing():
            widths = [self.config.channels] + [self.config.filters] * (len(self._blocks) - 1)
            return [tf.zeros((self.width, tf.shape(image)[0], reach * width)) for width in widths]

        def one_pass():
            v, above = image[:, :first], None if features is None else features[:, :first]
            kept = [keep(v)]
            for block in self._blocks[:-1]:
                v = block.vertical_stack(v, above)
                kept.append(keep(v))
            return kept

        return tf.cond(first > 0, one_pass, nothing)

    def link(self, caches, conditions):
        """The vertical stack at a row whose rows above are in the caches.

        Returns:
            `linked` of `Row`, and the caches of the next row but for the image's own, which is not drawn yet.
        """
        v, linked, shifted = None, [], []
        for vertical, cache, condition in zip(self._vertical, caches, conditions):
            window = cache if v is None else tf.concat([cache, v], axis=-1)
            v, link = vertical(window, condition)
            linked.append(link)
            shifted.append(window[..., -cache.shape[-1] :])
        return linked, shifted

    def logits(self, levels, row):
        """Logits `(width, n, channels, num_levels)` of a row of levels `(width, n, channels)`."""
        h = scaled(levels, self.config)
        for horizontal, link in zip(self._horizontal, row.linked):
            h = horizontal(h, link)
        for layer in self._head:
            h = layer(h)
        h = tf.reshape(h, (self.width, -1, self.config.channels, self.config.values_per_channel))
        return self._merge((self._by_level(h), *row.context.values()))


def sampler(model):
    """The compiled sampler of a model.

    Returns:
        A `tf.function` of `levels` int32 `(m, height, width, channels)` (hidden pixels at any level),
        `masks` int32 `(m, height, width, 1)`, `visible` of the same form, the pixels that the conditioning
        network sees, `context`, the conditioner's outputs for these, of the first slice `(m, …)`,
        `image_of` int32 `(n,)`, the image that each completion is of, `seeds` and `completions` int64
        `(n,)`, and `temperature` float32 `()`. It returns levels int32 `(n, height, width, channels)`, and
        log-likelihoods in nats, float32 `(n,)`.
    """
    reference: Any = weakref.ref(model)  # or no model that has been used would ever be forgotten
    config = model.config
    size = (config.height, config.width)
    ints = [tf.TensorSpec((None, *size, planes), tf.int32) for planes in (config.channels, 1, 1)]
    context = {name: tf.TensorSpec(output.shape, tf.float32) for name, output in model.conditioner.output.items()}
    completions = [tf.TensorSpec((None,), kind) for kind in (tf.int32, tf.int64, tf.int64)]
    pieces = [tf.TensorSpec((None, *config.slice_size, planes), tf.int32) for planes in (config.channels, 1)]
    noise_spec = tf.TensorSpec((None, *config.slice_size, config.channels, config.num_levels), tf.float32)

    @tf.function(input_signature=[*pieces, context, tf.TensorSpec((None,), tf.int32), noise_spec], jit_compile=False,
                 autograph=False)
    def sample_slice(levels, masks, context, image_of, noise):
        return _sample_slice(RowPrior(reference()), levels, masks, context, image_of, noise)

    @tf.function(input_signature=[*ints, context, *completions, tf.TensorSpec((), tf.float32)], jit_compile=False,
                 autograph=False)
    def sample(levels, masks, visible, context, image_of, seeds, completions, temperature):
        def noise_of(k):
            positions = slice_of(pixel_positions(config)[None], k, config.slices)[0]
            return temper(gumbel(seeds, completions, positions), temperature)

        def draw_slice(k, levels):
            """Of completions that are drawn up to there; each has a context of its own."""
            read = model_inputs(levels, visible, config, k)
            return sample_slice(slice_of(levels, k, config.slices), slice_of(masks, k, config.slices),
                                reference().conditioner(read["conditioning"]), tf.range(tf.size(image_of)), noise_of(k))

        first, nats = sample_slice(slice_of(levels, 0, config.slices), slice_of(masks, 0, config.slices), context,
                                   image_of, noise_of(0))
        if config.slices == 1:
            return first, nats
        levels, masks, visible = (tf.gather(x, image_of) for x in (levels, masks, visible))
        drawn = [first] + [slice_of(levels, k, config.slices) for k in range(1, config.slices**2)]
        for k in range(1, len(drawn)):
            nothing = drawn[k], tf.zeros_like(nats)
            anything = tf.reduce_any(slice_of(masks, k, config.slices) == 0)
            drawn[k], gained = tf.cond(
                anything, lambda k=k: draw_slice(k, join(drawn, config.slices)), lambda nothing=nothing: nothing)
            nats += gained
        return join(drawn, config.slices), nats

    return sample


def _sample_slice(prior, levels, masks, context, image_of, noise):
    """All rows from the first to the last that has hidden pixels. Arguments as of `sampler`'s; noise is tempered."""
    config = prior.config
    hidden = tf.equal(masks, 0)
    levels = tf.where(hidden, 0, levels)
    first, last = _span(tf.reduce_any(hidden, axis=(0, 2, 3)))
    caches = prior.rows_above(scaled(levels, config), context.get("features"), first)
    # From here on all rows of something stand one after the other.
    hidden, context = tf.nest.map_structure(columns_first, (hidden, context))
    levels, noise = columns_first(tf.gather(levels, image_of)), columns_first(noise)
    features = context.pop("features", None)

    def step(at):
        row = at.row
        conditions, context_here, unknown = tf.nest.map_structure(
            lambda x: tf.gather(x, at.image_of, axis=1),
            (prior.conditions(None if features is None else features[row]), {k: x[row] for k, x in context.items()},
             hidden[row]))
        linked, caches = prior.link(at.caches, conditions)
        guess = tf.where(tf.gather(unknown, at.past_of, axis=1), at.above, at.levels[row])
        drawn, gained = _solve(prior, Row(unknown, linked, context_here), at.past_of, noise[row], guess)
        one_of, past_of = _distinct(at.past_of, drawn)
        before = tf.gather(at.past_of, one_of)
        caches = [tf.gather(cache, before, axis=1) for cache in caches]
        caches[0] = tf.concat(
            [caches[0][..., config.channels :], scaled(tf.gather(drawn, one_of, axis=1), config)], axis=-1)
        return [Drawing(row + 1, drawn, tf.tensor_scatter_nd_update(at.levels, [[row]], drawn[None]),
                        at.nats + gained, past_of, tf.gather(at.image_of, before), caches)]

    start = Drawing(first, levels[tf.maximum(first - 1, 0)],  # a row looks like the one above it: the first guess
                    levels, tf.zeros_like(levels[0, 0, :, 0], tf.float32),
                    past_of=image_of, image_of=tf.range(tf.shape(masks)[0]), caches=caches)
    shapes = tf.nest.map_structure(lambda x: x.shape, start)._replace(  # there are ever more pasts
        image_of=tf.TensorShape([None]), caches=[tf.TensorShape([prior.width, None, x.shape[-1]]) for x in caches])
    end, = tf.while_loop(lambda at: at.row < last, step, [start], [shapes])
    return tf.transpose(end.levels, (2, 0, 1, 3)), end.nats


def _solve(prior, row, past_of, noise, guess):
    """Draws one row of all completions.

    Args:
        row: a `Row`.
        past_of: the past of each completion, `(n,)`.
        noise: `(width, n, channels, num_levels)`, added to the logits before the highest is taken.
        guess: levels `(width, n, channels)`, the visible ones as they are.

    Returns:
        Levels of the same shape, and the log-likelihood of those that were hidden, `(n,)`.
    """
    width, channels = guess.shape[0], guess.shape[2]
    to_come = tf.cumsum(tf.cast(row.unknown, tf.int32), axis=0, exclusive=True, reverse=True) > 0
    to_come |= tf.range(channels) < channels - 1  # whether any hidden value comes after one

    def settle(active, drawn, nats):
        """One more round for those completions whose row may not be final yet."""
        known, past = tf.gather(drawn, active, axis=1), tf.gather(past_of, active)
        one_of, alike = _distinct(past, known)
        logits = prior.logits(tf.gather(known, one_of, axis=1), row.take(tf.gather(past, one_of)))
        unknown, unsettled = (tf.gather(x, past, axis=1) for x in (row.unknown, to_come))
        new, gained = _redraw(tf.gather(logits, alike, axis=1), unknown, tf.gather(noise, active, axis=1), known)
        at = active[:, None]
        drawn = tf.transpose(tf.tensor_scatter_nd_update(
            tf.transpose(drawn, (1, 0, 2)), at, tf.transpose(new, (1, 0, 2))), (1, 0, 2))
        nats = tf.tensor_scatter_nd_update(nats, at, gained)
        # What comes before the first change is final, and so is that change itself.
        return tf.boolean_mask(active, tf.reduce_any((new != known) & unsettled, axis=(0, 2))), drawn, nats

    hidden = tf.gather(tf.reduce_any(row.unknown, axis=(0, 2)), past_of)
    _, drawn, nats = tf.while_loop(
        lambda active, *_: tf.size(active) > 0, settle,
        (tf.cast(tf.where(hidden)[:, 0], tf.int32), guess, tf.zeros_like(guess[0, :, 0], tf.float32)),
        maximum_iterations=width * channels,  # each makes at least one more value final
        shape_invariants=(tf.TensorShape([None]), guess.shape, tf.TensorShape([None])))
    return drawn, nats


def _redraw(logits, unknown, noise, known):
    """Draws every hidden pixel of a row from logits given what stands there now, and scores what is drawn."""
    new = tf.where(unknown, gumbel_max(logits, noise), known)
    scored = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=new, logits=logits)
    return new, -tf.reduce_sum(tf.where(unknown, scored, 0), axis=(0, 2))


def _distinct(past_of, levels):
    """Which completions have the same past and the same row.

    Args:
        past_of: int32 `(n,)`; levels: `(width, n, channels)`.

    Returns:
        int32 `(m,)`, the first completion of each kind, and `(n,)`, the kind of each completion.
    """
    rows = tf.reshape(tf.transpose(levels, (1, 0, 2)), (-1, levels.shape[0] * levels.shape[2]))
    keys = tf.concat([past_of[:, None], rows], axis=1)
    with tf.device("/CPU:0"):  # TensorFlow has it nowhere else
        kinds, kind_of = tf.raw_ops.UniqueV2(x=keys, axis=[0])
    return tf.math.unsorted_segment_min(tf.range(tf.size(past_of)), kind_of, tf.shape(kinds)[0]), kind_of


def _span(wanted):
    """The first of the rows that are wanted, bool `(height,)`, and the one after the last; 0 and 0 if none is."""
    rows = tf.cast(tf.where(wanted)[:, 0], tf.int32)
    end = tf.reduce_max(tf.concat([rows + 1, [0]], axis=0))
    return tf.reduce_min(tf.concat([rows, [end]], axis=0)), end


def columns_first(x):
    """`(n, height, width, …)` to `(height, width, n, …)`."""
    return tf.transpose(x, (1, 2, 0, *range(3, len(x.shape))))


def scaled(levels, config):
    """Levels as the network reads them."""
    return scale(tf.cast(levels, tf.float32), config.num_levels)


def temper(gumbel, temperature):
    """The noise of a temperature: `argmax(logits + T g)` is `argmax(logits / T + g)`, and holds for T = 0, too."""
    return gumbel * tf.minimum(temperature, HIGHEST_TEMPERATURE)


def gumbel_max(logits, noise):
    """Levels from logits `(…, num_levels)` and tempered noise of the same shape: the Gumbel-max trick."""
    return tf.argmax(logits + noise, axis=-1, output_type=tf.int32)
