"""Completions: hidden pixels drawn in raster order from p(x_i | x_<i, c) (section 4.4).

    for each pixel i in raster order, for each channel:
        if hidden:  x_i = argmax over levels of logits_i(x_<i, c) / temperature + noise_i
        else:       x_i stays
"""

from typing import NamedTuple

import numpy as np

from pcnn_keras import noise
from pcnn_keras.errors import InputError
from pcnn_keras.inputs import check_images, network_inputs
from pcnn_keras.likelihood import log_likelihood
from pcnn_keras.pixels import scale

SAMPLERS = ("raster",)


class Completions(NamedTuple):
    """Completions of one image, or of a batch (then with a leading batch axis).

    Fields:
        samples: int32 levels `(num_samples, height, width, channels)`.
        log_likelihood: float32 `(num_samples,)`, nats, of the untempered model.
        draw: int32 `(num_samples,)`, each one's number in draw order.
    """

    samples: np.ndarray
    log_likelihood: np.ndarray
    draw: np.ndarray

    def ranked(self):
        """The same, most likely first."""
        order = np.argsort(-self.log_likelihood, axis=-1, kind="stable")

        def take(values):
            index = order.reshape(order.shape + (1,) * (values.ndim - order.ndim))
            return np.take_along_axis(values, index, axis=order.ndim - 1)

        return Completions(*map(take, self))


def inpaint(model, image, mask, num_samples=16, temperature=1.0, seed=0, sampler="raster", batch_size=64):
    """Draws completions of an image, or of a batch of images.

    Args:
        model: a `PixelConstrainedCNN`.
        image: levels 0 … num_levels - 1, `(height, width, channels)` or with a batch axis before.
            What stands at hidden pixels does not matter.
        mask: `(height, width, 1)`, 1 = visible; with a batch axis if `image` has one.
        num_samples: completions of each image, at least 1.
        temperature: at least 0. Below 1 draws likelier levels more often; 0 takes the likeliest.
        seed: from 0 to 2^63 - 1, or one for each image, `(batch,)`. The same seed gives the same
            completions; completion k is the same however many are asked for.
        sampler: "raster", one pixel at a time.
        batch_size: completions that are drawn at a time; memory grows with it, nothing else.

    Returns:
        `Completions` in draw order.

    Raises:
        InputError: if an argument is out of range or does not fit the model.
    """
    image, mask = np.asarray(image), np.asarray(mask)
    single = image.ndim == 3
    images, masks = check_images(model.config, image[None] if single else image,
                                 mask[None] if single else mask)
    if not num_samples >= 1:
        raise InputError(f"`num_samples` must be at least 1. Received: {num_samples}.")
    if not 0 <= temperature < np.inf:
        raise InputError(f"`temperature` must be a number from 0 up. Received: {temperature}.")
    if sampler not in SAMPLERS:
        raise InputError(f"`sampler` must be one of {', '.join(SAMPLERS)}. Received: {sampler!r}.")
    seeds = _seeds(seed, len(images))

    row = np.arange(len(images) * num_samples)  # one row for each completion to be drawn
    image_of, completion = row // num_samples, row % num_samples
    samples = np.empty((len(row), *images.shape[1:]), np.int32)
    for start in range(0, len(row), batch_size):
        part = slice(start, start + batch_size)
        of = image_of[part]
        samples[part] = _raster(model, images[of], masks[of], seeds[of], completion[part], temperature)
    likelihood = log_likelihood(model, samples, masks[image_of], batch_size)
    shape = (len(images), num_samples)
    result = Completions(samples.reshape(*shape, *images.shape[1:]), likelihood.reshape(shape),
                         completion.reshape(shape).astype(np.int32))
    return Completions(*(field[0] for field in result)) if single else result


def _seeds(seed, batch):
    seeds = np.asarray(seed)
    if seeds.dtype.kind not in "iu" or seeds.shape not in ((), (batch,)) or (seeds < 0).any() \
            or (seeds > 2**63 - 1).any():
        raise InputError("`seed` must be a whole number from 0 to 2^63 - 1, or one for each image.")
    return np.broadcast_to(seeds.astype(np.int64), (batch,))


def _raster(model, images, masks, seeds, completions, temperature):
    """One row for each completion; the oracle that anything faster is held against."""
    import tensorflow as tf

    config = model.config
    hidden = masks[..., 0] == 0
    levels = np.where(masks == 1, images, 0)
    conditioning = network_inputs(levels, masks, config.num_levels)["conditioning"]
    conditional = model.conditioner.predict_on_batch(conditioning)
    shape = (config.height, config.width, config.channels, config.num_levels)
    gumbel = noise.gumbel(tf.constant(seeds), tf.constant(completions), shape).numpy()
    for row, column in np.argwhere(hidden.any(axis=0)):
        for channel in range(config.channels):
            prior = model.prior.predict_on_batch(scale(levels.astype(np.float32), config.num_levels))
            at = (slice(None), row, column, channel)
            drawn = draw(prior[at] + conditional[at], gumbel[at], temperature)
            levels[at] = np.where(hidden[:, row, column], drawn, levels[at])
    return levels


def draw(logits, gumbel, temperature):
    """Levels from logits of any shape and noise of the same: the Gumbel-max trick."""
    if temperature == 0:
        return np.argmax(logits, axis=-1)
    return np.argmax(logits / np.float32(temperature) + gumbel, axis=-1)
