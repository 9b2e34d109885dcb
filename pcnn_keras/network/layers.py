"""The blocks that both networks are made of, and what joins them. `keras.ops` alone.

With two stacks (van den Oord et al. 2016, arXiv:1606.05328, figure 2) nothing is left in a blind
spot: the vertical stack sees every row above, the horizontal stack the pixels to the left in its
own row, and 1 x 1 convolutions carry the former into the latter.
"""

import keras
import numpy as np
from keras import ops

from pcnn_keras.network.masked import MaskedConv2D


def near_zero():
    """Initial weights of what is added to something: logits and residual branches start near zero."""
    return keras.initializers.VarianceScaling(0.01, "fan_in", "uniform")


@keras.saving.register_keras_serializable("pcnn_keras")
class GatedBlock(keras.layers.Layer):
    """One layer of both stacks of a Gated PixelCNN (arXiv:1606.05328, figure 2).

    With `v`, `h` the two stacks, `f` what is known at each pixel from elsewhere, and `split` into a
    tanh and a sigmoid half:

        a = vertical(v) + condition(f)_v;  b = horizontal(h) + link(a) + condition(f)_h
        v' = tanh(a1) * sigmoid(a2);  h' = h + out(tanh(b1) * sigmoid(b2))

    `condition` is a 1 x 1 convolution: section 2.3 of that paper, with a map in place of a vector.

    Args:
        filters: width of both stacks.
        kernel_size: odd int, at least 3.
        restricted: True for the first block, whose input is the image: no residual there.
        channel_groups: 1 for grey, 3 for red, green, blue.
        conditioned: whether `f` is given.

    Input: `(v, h)` or `(v, h, f)`, each `(batch, height, width, in_channels)`, `f` of any width.
    Output: pair `(v', h')`, each `(batch, height, width, filters)`.
    """

    def __init__(self, filters, kernel_size, restricted=False, channel_groups=1, conditioned=False, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.restricted = restricted
        self.channel_groups = channel_groups
        self.conditioned = conditioned
        shared = {"restricted": restricted, "dtype": self.dtype_policy}
        self.vertical = MaskedConv2D(2 * filters, kernel_size, stack="vertical", name="vertical", **shared)
        self.horizontal = MaskedConv2D(
            2 * filters, (1, kernel_size), stack="horizontal", channel_groups=channel_groups,
            gated=True, use_bias=False, name="horizontal", **shared)
        # The vertical stack sees only rows above, so its channels may go to every group.
        self.link = MaskedConv2D(2 * filters, 1, name="link", dtype=self.dtype_policy)
        self.out = MaskedConv2D(
            filters, 1, channel_groups=channel_groups, name="out", dtype=self.dtype_policy,
            kernel_initializer="lecun_uniform" if restricted else near_zero())
        if conditioned:
            # What is visible may go to every group of every pixel. The convolutions before it have biases.
            self.condition = keras.layers.Conv2D(
                4 * filters, 1, use_bias=False, data_format="channels_last",
                kernel_initializer=near_zero(), name="condition", dtype=self.dtype_policy)

    def build(self, input_shape):
        vertical, horizontal, *features = input_shape
        wide = (*vertical[:-1], 2 * self.filters)
        self.vertical.build(vertical)
        self.horizontal.build(horizontal)
        self.link.build(wide)
        self.out.build((*vertical[:-1], self.filters))
        if features:
            self.condition.build(features[0])

    def call(self, inputs):
        v, h, *features = inputs
        conditions = split_by_stack(self.condition(features[0])) if features else ()
        v, linked = self._vertical_stack(v, conditions, self.vertical, self.link)
        return v, self._horizontal_stack(h, linked, self.horizontal, self.out)

    def row_form(self):
        """The row-wise form, with the weights as they are now; shapes as in `MaskedConv2D.row_form`.

        Returns:
            Two functions. The first: from the window of rows that the vertical stack sees, and what
            `split_by_stack` gives of its last row, to `v'` and to all of `b` but `horizontal(h)`
            there. The second: from `h` and that to the row's `h'`.
        """
        vertical, link, horizontal, out = (
            layer.row_form() for layer in (self.vertical, self.link, self.horizontal, self.out))
        return (lambda window, conditions: self._vertical_stack(window, conditions, vertical, link),
                lambda h, linked: self._horizontal_stack(h, linked, horizontal, out))

    def vertical_stack(self, v, features=None):
        """`v'` alone, from `v` and the features of any number of whole rows."""
        conditions = () if features is None else split_by_stack(self.condition(features))
        return self._vertical_stack(v, conditions, self.vertical, lambda a: 0)[0]

    def _vertical_stack(self, v, conditions, vertical, link):
        a = vertical(v)
        if not conditions:
            return gate(a), link(a)
        to_vertical, to_horizontal = conditions
        a = a + to_vertical
        return gate(a), link(a) + to_horizontal

    def _horizontal_stack(self, h, linked, horizontal, out):
        update = out(gate(horizontal(h) + linked))
        return update if self.restricted else h + update

    def compute_output_shape(self, input_shape):
        return tuple((*shape[:-1], self.filters) for shape in input_shape[:2])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size,
                "restricted": self.restricted, "channel_groups": self.channel_groups,
                "conditioned": self.conditioned}


def split_by_stack(condition):
    """What `condition` gives, `(…, 4 filters)`: what is added to the vertical stack, and to the horizontal one, `(…, 2
    filters)` each."""
    return ops.split(condition, 2, axis=-1)


def gate(x):
    """`tanh` of the first half of the channels times `sigmoid` of the second."""
    a, b = ops.split(x, 2, axis=-1)
    return ops.tanh(a) * ops.sigmoid(b)


@keras.saving.register_keras_serializable("pcnn_keras")
class ResidualBlock(keras.layers.Layer):
    """`x + leave(relu(mix(relu(enter(relu(x))))))`: 1 x 1, k x k, 1 x 1, activation first.

    The paper leaves the inside open; docs/experiments.md has what was tried. No normalisation by
    batch statistics: it would tie the images of a batch together.

    Args:
        filters: width, which must be the input's.
        kernel_size: odd int.

    Input and output shape: `(batch, height, width, filters)`.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        shared = {"padding": "same", "data_format": "channels_last", "dtype": self.dtype_policy}
        self.convolutions = [
            keras.layers.Conv2D(filters, 1, kernel_initializer="he_uniform", name="enter", **shared),
            keras.layers.Conv2D(filters, kernel_size, kernel_initializer="he_uniform", name="mix", **shared),
            keras.layers.Conv2D(filters, 1, kernel_initializer=near_zero(), name="leave", **shared),
        ]

    def build(self, input_shape):
        for convolution in self.convolutions:
            convolution.build(input_shape)

    def call(self, inputs):
        enter, mix, leave = self.convolutions
        x = leave.convolution_op(ops.relu(mix(ops.relu(enter(ops.relu(inputs))))), leave.kernel)
        # A convolution, its bias, a sum and the next block's relu in a row are more than TensorFlow's graph optimizer
        # can fuse: "remapper failed" (2.21). The bias goes to the other summand.
        return inputs + leave.bias + x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable("pcnn_keras")
class SelfAttention(keras.layers.Layer):
    """`x + attention(normalised x)`, between all pixels of a map (Vaswani et al. 2017, arXiv:1706.03762).

    Each pixel is normalised by itself, over its channels.

    Args:
        heads: number of heads, each of the width over `heads` (at least 1) channels.

    Input and output shape: `(batch, height, width, filters)`.
    """

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.normalise = keras.layers.LayerNormalization(name="normalise", dtype=self.dtype_policy)

    def build(self, input_shape):
        cells, filters = (input_shape[0], input_shape[1] * input_shape[2], input_shape[3]), input_shape[3]
        self.attention = keras.layers.MultiHeadAttention(
            self.heads, max(1, filters // self.heads), name="attention", dtype=self.dtype_policy)
        self.normalise.build(cells)
        self.attention.build(cells, cells)

    def call(self, inputs):
        cells = self.normalise(ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2], inputs.shape[3])))
        return inputs + ops.reshape(self.attention(cells, cells), (-1, *inputs.shape[1:]))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable("pcnn_keras")
class LogisticsByLevel(keras.layers.Layer):
    """Log-probabilities of levels by a mixture of logistics cut into levels (Salimans et al. 2017, arXiv:1701.05517).

    Levels lie evenly from -1 to 1; the first and the last have all that is beyond. A floor of 1e-7 under each
    probability keeps gradients finite; as logits, the outputs are normalised by whoever takes their softmax.

    Args:
        num_levels: at least 2.

    Input: `(…, 3 * mixture)`: of each logistic the logit of its weight, its mean less a default (these lie evenly
        from -0.75 to 0.75), and the logarithm of its scale plus 1.5.
    Output shape: `(…, num_levels)`.
    """

    def __init__(self, num_levels, **kwargs):
        super().__init__(**kwargs)
        self.num_levels = num_levels

    def call(self, inputs):
        weights, means, scales = ops.split(ops.cast(inputs, "float32"), 3, axis=-1)
        means = means + np.linspace(-0.75, 0.75, weights.shape[-1], dtype=np.float32)
        sharpness = ops.exp(ops.minimum(1.5 - scales, 6.0))
        between = (np.arange(1, self.num_levels) * 2 - self.num_levels) / (self.num_levels - 1)
        edges = np.pad(between, 1, constant_values=(-1e6, 1e6)).astype(np.float32)
        below = ops.sigmoid((edges - means[..., None]) * sharpness[..., None])
        below = ops.sum(ops.softmax(weights)[..., None] * below, axis=-2)  # of the mixture
        return ops.log(ops.maximum(ops.diff(below), 0.0) + 1e-7)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_levels)

    def get_config(self):
        return {**super().get_config(), "num_levels": self.num_levels}


@keras.saving.register_keras_serializable("pcnn_keras")
class Merge(keras.layers.Layer):
    """Logits of p(x_i | x_<i, c) from those of the prior and of the conditioning network.

    The sum (equation 3), or, with two weights a pixel, the weighted sum of the paper's last sentence.

    Input: `(prior, conditional)`, each `(batch, height, width, channels, num_levels)`, and for the
        weighted sum `weights`, `(batch, height, width, 2)`.
    Output shape: that of the first.
    """

    def call(self, inputs):
        prior, conditional, *weights = inputs
        if not weights:
            return prior + conditional
        of_prior, of_conditional = ops.split(weights[0][..., None, None, :], 2, axis=-1)
        return prior * of_prior[..., 0] + conditional * of_conditional[..., 0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]
