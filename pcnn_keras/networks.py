"""The prior and the conditioning network (section 4.2, appendix A): tensors in, logits out.

Both return `(batch, height, width, channels, num_levels)`. Grey and colour differ in numbers only.
"""

import keras

from pcnn_keras.layers import GatedBlock, MaskedConv2D, ResidualBlock, near_zero


def prior_logits(image, config):
    """Gated PixelCNN: the logits of a pixel see all pixels before it in raster order.

    Args:
        image: `(batch, height, width, channels)`, in [0, 1].
        config: a `Config`.
    """
    groups = config.channels
    v, h = GatedBlock(config.filters, config.kernel_size, restricted=True, channel_groups=groups,
                      name="prior_restricted")((image, image))
    for i in range(config.prior_depth):
        v, h = GatedBlock(config.filters, config.kernel_size, channel_groups=groups,
                          name=f"prior_gated_{i + 1}")((v, h))
    if config.head_filters:
        h = MaskedConv2D(config.head_filters, 1, channel_groups=groups, activation="relu",
                         kernel_initializer="he_uniform", name="prior_head")(h)
    logits = MaskedConv2D(config.channels * config.num_levels, 1, channel_groups=groups,
                          kernel_initializer=near_zero(), name="prior_output")(h)
    return _by_level(logits, config, "prior_logits")


def conditioning_logits(conditioning, config):
    """Residual network without masks: every logit may see every visible pixel, and the mask.

    Args:
        conditioning: `(batch, height, width, channels + 1)`: the image in [0, 1] with hidden
            pixels at 0, then the mask (1 = visible).
        config: a `Config`.
    """
    x = keras.layers.Conv2D(config.filters, config.kernel_size, padding="same",
                            data_format="channels_last", name="conditioning_entry")(conditioning)
    for i in range(config.conditioning_depth):
        x = ResidualBlock(config.filters, config.kernel_size, name=f"conditioning_block_{i + 1}")(x)
    logits = keras.layers.Conv2D(config.channels * config.num_levels, 1, kernel_initializer=near_zero(),
                                 data_format="channels_last", name="conditioning_output")(x)
    return _by_level(logits, config, "conditional_logits")


def _by_level(logits, config, name):
    shape = (config.height, config.width, config.channels, config.num_levels)
    return keras.layers.Reshape(shape, name=name)(logits)


def prior_layers(prior):
    """The layers of a prior's model in order: its gated blocks, and what makes logits of `h`."""
    blocks = [layer for layer in prior.layers if isinstance(layer, GatedBlock)]
    head = [layer for layer in prior.layers if isinstance(layer, MaskedConv2D)]
    return blocks, head
