"""The prior and the conditioning network (section 4.2, appendix A): tensors in, tensors out.

Grey and colour differ in numbers only. How the two meet is `Config.merge`:

    sum        logits = prior + conditional                                          (equation 3)
    weighted   logits = w_i(c) prior + u_i(c) conditional, the weights predicted at each pixel (the
               paper's last sentence)
    blocks     as the sum, and the conditioning network's last map enters every gated block of the
               prior, so that what was drawn and what is visible speak together
"""

import keras
from keras import ops

from pcnn_keras.network.layers import GatedBlock, LogisticsByLevel, ResidualBlock, SelfAttention, near_zero
from pcnn_keras.network.masked import MaskedConv2D

COARSEST = 8
"""A U-Net halves its maps until no side is longer than that."""

WIDEST = 4
"""Its maps are at most so many times as wide as the first."""


def prior_logits(image, config, features=None):
    """Gated PixelCNN: the logits of a pixel see all pixels before it in raster order.

    Args:
        image: `(batch, height, width, channels)`, in [0, 1].
        config: a `Config`.
        features: None, or what the conditioning network hands to every block, `(batch, height, width, filters)`.

    Returns:
        `(batch, height, width, channels, num_levels)`.
    """
    block = {"filters": config.filters, "kernel_size": config.kernel_size, "channel_groups": config.channels,
             "conditioned": features is not None}
    given = () if features is None else (features,)
    v, h = GatedBlock(restricted=True, name="prior_restricted", **block)((image, image, *given))
    for i in range(config.prior_depth):
        v, h = GatedBlock(name=f"prior_gated_{i + 1}", **block)((v, h, *given))
    if config.head_filters:
        h = MaskedConv2D(config.head_filters, 1, channel_groups=config.channels, activation="relu",
                         kernel_initializer="he_uniform", name="prior_head")(h)
    logits = MaskedConv2D(config.channels * config.values_per_channel, 1, channel_groups=config.channels,
                          kernel_initializer=near_zero(), name="prior_output")(h)
    return _by_level(logits, config, "prior_logits")


def condition(conditioning, config):
    """Network without masks: all that it says of a pixel may depend on every visible pixel, and on the mask.

    Args:
        conditioning: `(batch, height, width, channels + 1)`: the image in [0, 1] with hidden
            pixels at 0, then the mask (1 = visible). Of slices see `data.slices.network_inputs`.
        config: a `Config`.

    Returns:
        A dict: `conditional_logits` `(batch, height, width, channels, num_levels)`, of p(x_i | c);
        with the merge "weighted" also `weights` `(batch, height, width, 2)`, of the prior's logits and
        of these; with "blocks" also `features` `(batch, height, width, filters)`.
    """
    x = _conv(config.filters, config.kernel_size, "conditioning_entry")(conditioning)
    if config.slices > 1:
        x = x[:, 1:, 1:]  # from here on, the cells of the slice's own pixels
    x = {"residual": _residual_stack, "unet": _unet}[config.conditioner](x, config)
    logits = _conv(config.channels * config.values_per_channel, 1, "conditioning_output", near_zero())(x)
    outputs = {"conditional_logits": _by_level(logits, config, "conditional_logits")}
    if config.merge == "weighted":
        outputs["weights"] = 2 * ops.sigmoid(_conv(2, 1, "conditioning_weights", near_zero())(x))
    if config.merge == "blocks":
        outputs["features"] = ops.relu(x)
    return outputs


def _residual_stack(x, config):
    """The paper's: residual blocks at full size, each seeing `kernel_size // 2` pixels further."""
    for i in range(config.conditioning_depth):
        x = ResidualBlock(config.filters, config.kernel_size, name=f"conditioning_block_{i + 1}")(x)
    return x


def _unet(x, config):
    """The same blocks on maps of ever half the size and back (Ronneberger et al. 2015, arXiv:1505.04597).

    The blocks are shared out evenly over the sizes on the way down and up, the coarsest first. There,
    each cell attends to all others, if `attention_heads` is not 0. Sides may be odd: half is rounded up.
    """
    sides = [config.slice_size]
    while max(sides[-1]) > COARSEST:
        sides.append(tuple(-(-side // 2) for side in sides[-1]))
    coarsest = len(sides) - 1
    widths = [config.filters * min(2**scale, WIDEST) for scale in range(len(sides))]
    scales = [*range(coarsest), *range(coarsest, -1, -1)]  # of the stages, down and up
    blocks = iter(_share_out(config.conditioning_depth, scales))

    def stage(x, scale, way):
        for i in range(next(blocks)):
            x = ResidualBlock(widths[scale], config.kernel_size, name=f"conditioning_{way}_{scale}_block_{i + 1}")(x)
        return x

    passed = []
    for scale in range(coarsest):
        passed.append(stage(x, scale, "down"))
        x = _conv(widths[scale + 1], 3, f"conditioning_halve_{scale}", strides=2)(passed[-1])
    x = stage(x, coarsest, "at")
    if config.attention_heads:
        x = SelfAttention(config.attention_heads, name="conditioning_attention")(x)
    for scale in reversed(range(coarsest)):
        x = _conv(widths[scale], 1, f"conditioning_narrow_{scale}")(x)
        x = keras.layers.UpSampling2D(2, data_format="channels_last")(x)
        height, width = sides[scale]
        x = stage(passed[scale] + x[:, :height, :width], scale, "up")
    return x


def _share_out(count, scales):
    """How many of `count` blocks each stage has: as even as can be, coarser scales first."""
    shares = [count // len(scales)] * len(scales)
    coarse_first = sorted(range(len(scales)), key=lambda stage: -scales[stage])
    for stage in coarse_first[: count % len(scales)]:
        shares[stage] += 1
    return shares


def _conv(filters, kernel_size, name, initializer="glorot_uniform", strides=1):
    return keras.layers.Conv2D(filters, kernel_size, strides, padding="same", kernel_initializer=initializer,
                               data_format="channels_last", name=name)


def _by_level(values, config, name):
    shape = (*config.slice_size, config.channels, config.values_per_channel)
    return logits_layer(config, name=name)(keras.layers.Reshape(shape)(values))


def logits_layer(config, **kwargs):
    """What makes logits `(…, num_levels)` of the values `(…, values_per_channel)` that a network gives."""
    if config.distribution == "softmax":
        return keras.layers.Identity(**kwargs)
    return LogisticsByLevel(config.num_levels, **kwargs)


def prior_layers(prior):
    """The layers of a prior's model in order: its gated blocks, and what makes logits of `h`; no other has weights."""
    for layer in prior.layers:
        if layer.weights and not isinstance(layer, (GatedBlock, MaskedConv2D)):
            raise TypeError(f"The fast sampler does not know the prior's layer {layer.name!r}.")
    blocks = [layer for layer in prior.layers if isinstance(layer, GatedBlock)]
    head = [layer for layer in prior.layers if isinstance(layer, MaskedConv2D)]
    return blocks, head
