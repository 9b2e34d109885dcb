"""The masked convolution: what makes an autoregressive model of one. `keras.ops` alone.

A PixelCNN orders the pixels in raster order, and red, green, blue within a pixel, and makes each
output depend only on what comes before it. The order lives in one place, `kernel_mask`: which
taps of which kernel may carry information from which group of channels to which other.
"""

import functools

import keras
import numpy as np
from keras import ops


def channel_groups(num_channels, num_groups):
    """Which group each channel is in: `num_groups` runs of near equal length, in order.

    Returns:
        int array, `(num_channels,)`. 32 channels in 3 groups are 11, 11 and 10.
    """
    return np.arange(num_channels) * num_groups // num_channels


def kernel_mask(kernel_size, in_channels, filters, stack, restricted=False, groups=1, gated=False):
    """The one maker of kernel masks.

    Args:
        kernel_size: `(rows, columns)`, both odd; one row for the horizontal stack.
        in_channels, filters: the kernel's last two sides.
        stack: "vertical" (rows above; its own row too unless restricted), "horizontal" (pixels to
            the left, and what it may see of its own pixel) or "plain" (both at once: all that
            comes before in raster order).
        restricted: True ("type A") where the input is the image itself: group g of a pixel then
            sees groups before g of the same pixel, otherwise ("type B") also g.
        groups: number of channel groups, 1 for grey and 3 for red, green, blue.
        gated: True if the filters are two halves (tanh and sigmoid) that each hold all groups.

    Returns:
        float32 `(rows, columns, in_channels, filters)` of 0 and 1.

    Raises:
        ValueError: for a stack that there is not, or a kernel that does not suit it.
    """
    rows, columns = kernel_size
    if stack not in ("vertical", "horizontal", "plain"):
        raise ValueError(f"`stack` must be 'vertical', 'horizontal' or 'plain'. Received: {stack!r}.")
    if rows % 2 == 0 or columns % 2 == 0 or (stack == "horizontal" and rows != 1):
        raise ValueError(
            "`kernel_size` must be odd, and of one row in a horizontal stack. "
            f"Received: kernel_size={kernel_size}, stack={stack!r}."
        )
    if gated and filters % 2:
        raise ValueError(f"A gated convolution needs an even number of filters. Received: {filters}.")
    row, column = rows // 2, columns // 2
    mask = np.zeros((rows, columns, in_channels, filters), np.float32)
    mask[:row] = 1
    if stack == "vertical":
        mask[row] = not restricted
        return mask
    mask[row, :column] = 1
    sender = channel_groups(in_channels, groups)[:, None]
    receiver = channel_groups(filters // 2, groups) if gated else channel_groups(filters, groups)
    receiver = np.tile(receiver, 2) if gated else receiver
    mask[row, column] = sender < receiver if restricted else sender <= receiver
    return mask


def bounding_box(mask):
    """The smallest box of taps, a slice of rows and one of columns, that holds all of a mask's ones."""
    rows, columns = np.nonzero(mask.any(axis=(2, 3)))
    if not len(rows):
        raise ValueError("The mask leaves nothing to see.")
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@keras.saving.register_keras_serializable("pcnn_keras")
class MaskedConv2D(keras.layers.Conv2D):
    """A convolution with a constant kernel mask, of the input's height and width.

    The taps that the mask sets to zero for every channel are cut off: the weights are those of
    the smallest box that holds all others, and the input is padded to match. What the mask sets
    to zero inside the box (channel groups) is multiplied away. Initial weights are scaled, output
    by output, to the number of inputs that the output really sees.

    Args:
        filters: number of output channels.
        kernel_size: odd int or pair, before cropping.
        stack, restricted, channel_groups, gated: see `kernel_mask`.
        **kwargs: see `keras.layers.Conv2D`; strides, dilation, padding and `groups` are fixed.

    Input shape: `(batch, height, width, in_channels)`.
    Output shape: `(batch, height, width, filters)`.

    Example:
        >>> layer = MaskedConv2D(64, 5, stack="vertical")
        >>> layer(keras.ops.ones((1, 28, 28, 32))).shape, layer.kernel.shape
        ((1, 28, 28, 64), (3, 5, 32, 64))
    """

    def __init__(self, filters, kernel_size, *, stack="plain", restricted=False, channel_groups=1,
                 gated=False, kernel_initializer="lecun_uniform", **kwargs):
        super().__init__(filters, kernel_size, strides=1, padding="same", data_format="channels_last", dilation_rate=1,
                         groups=1, **kwargs)
        self.full_kernel_size = self.kernel_size
        self.stack = stack
        self.restricted = restricted
        self.channel_groups = channel_groups
        self.gated = gated
        box = bounding_box(self.mask_for(channel_groups))  # the same for all inputs that hold every group
        self.kernel_size: tuple[int, ...] = tuple(side.stop - side.start for side in box)
        # How far the cropped kernel reaches beyond the output's own position: above and below, left
        # and right. Below zero where it does not even reach that position (restricted stacks).
        self._reach = [(size // 2 - side.start, side.stop - 1 - size // 2)
                       for size, side in zip(self.full_kernel_size, box)]
        self._box = box
        self.kernel_initializer = _ScaledToSeen(kernel_initializer, lambda shape: self.mask_for(shape[2])[box])

    def mask_for(self, in_channels):
        """`kernel_mask` of this layer for an input of so many channels, uncropped."""
        return kernel_mask(self.full_kernel_size, in_channels, self.filters, self.stack, self.restricted,
                           self.channel_groups, self.gated)

    def build(self, input_shape):
        self.kernel_mask = self.mask_for(input_shape[-1])[self._box]
        super().build(input_shape)

    def call(self, inputs):
        return super().call(_pad(inputs, self._reach, axis=1))

    def row_form(self):
        """The row-wise form, with the weights as they are now.

        Returns:
            A function from `(width, batch, rows * in_channels)`, the rows that an output row sees,
            upper ones first, side by side in the channels (zeros for rows outside the image), to
            that output row, `(width, batch, filters)`. Columns stand first: a shift along the row
            is then a slice without a copy, and the convolution a sum of matrix products.
        """
        kernel = ops.transpose(self._masked(self.kernel), (1, 0, 2, 3))
        matrices = ops.unstack(ops.reshape(kernel, (kernel.shape[0], -1, self.filters)))
        left = self._reach[1][0]

        def row(window):
            width, _, channels = window.shape
            padded = _pad(window, self._reach[1:], axis=0)
            shifts = (window if j == left else padded[j : j + width] for j in range(len(matrices)))
            products = map(ops.matmul, (ops.reshape(shift, (-1, channels)) for shift in shifts), matrices)
            outputs = ops.reshape(functools.reduce(ops.add, products), (width, -1, self.filters))
            return self.activation(outputs + self.bias if self.use_bias else outputs)

        return row

    def convolution_op(self, inputs, kernel):
        return ops.conv(inputs, self._masked(kernel), padding="valid", data_format="channels_last")

    def _masked(self, kernel):
        if self.kernel_mask.all():
            return kernel
        return kernel * ops.convert_to_tensor(self.kernel_mask, kernel.dtype)

    def get_config(self):
        config = super().get_config()
        for fixed in ("padding", "data_format", "strides", "dilation_rate", "groups"):
            config.pop(fixed)
        return {**config, "kernel_size": self.full_kernel_size, "stack": self.stack, "restricted": self.restricted,
                "channel_groups": self.channel_groups, "gated": self.gated,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer.initializer)}


class _ScaledToSeen(keras.initializers.Initializer):
    """Scales weights, output by output, to the number of inputs that a kernel mask lets the output see."""

    def __init__(self, initializer, mask_for):
        self.initializer = keras.initializers.get(initializer)
        self._mask_for = mask_for

    def __call__(self, shape, dtype=None):
        mask = self._mask_for(shape)
        seen = np.maximum(mask.sum(axis=(0, 1, 2)), 1)
        return self.initializer(shape, dtype=dtype) * mask * np.sqrt(mask[..., 0].size / seen).astype(np.float32)


def _pad(x, reaches, axis):
    """Zeros around the axes from `axis` on, or, where a reach is below zero, entries less at the end."""
    rest = [(0, 0)] * (len(x.shape) - axis - len(reaches))
    if any(after < 0 for _, after in reaches):
        x = x[(slice(None),) * axis + tuple(slice(min(after, 0) or None) for _, after in reaches)]
    return ops.pad(x, [(0, 0)] * axis + [(before, max(after, 0)) for before, after in reaches] + rest)
