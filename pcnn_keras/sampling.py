"""Completions: hidden pixels drawn in raster order from p(x_i | x_<i, c) (section 4.4).

    for each pixel i in raster order, for each channel:
        if hidden:  x_i = argmax over levels of logits_i(x_<i, c) / temperature + noise_i
        else:       x_i stays
"""

from typing import NamedTuple

import numpy as np

from pcnn_keras import noise, rows
from pcnn_keras.errors import InputError
from pcnn_keras.inputs import check_images, network_inputs
from pcnn_keras.likelihood import log_likelihood
from pcnn_keras.pixels import scale

SAMPLERS = ("fast", "raster")


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


def inpaint(model, image, mask, num_samples=16, temperature=1.0, seed=0, sampler="fast", batch_size=64):
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
        sampler: "fast", a row at a time (see `rows`), or "raster", one pixel at a time: the same draws.
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

    inputs = network_inputs(np.where(masks == 1, images, 0), masks, model.config.num_levels)
    conditional = model.conditioner.predict(inputs["conditioning"], batch_size=batch_size, verbose=0)
    number = np.arange(len(images) * num_samples)  # one for each completion to be drawn
    image_of, completion = number // num_samples, number % num_samples
    draw_chunk = _fast if sampler == "fast" else _raster
    samples = np.empty((len(number), *images.shape[1:]), np.int32)
    likelihood = np.empty(len(number), np.float32)
    for start in range(0, len(number), batch_size):
        part = slice(start, start + batch_size)
        of = image_of[part]
        samples[part], likelihood[part] = draw_chunk(
            model, images[of], masks[of], conditional[of], seeds[of], completion[part], temperature)
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


def _fast(model, images, masks, conditional, seeds, completions, temperature):
    if not hasattr(model, "row_sampler"):
        model.row_sampler = rows.sampler(model)
    levels, nats = model.row_sampler(images, masks, conditional, seeds, completions, np.float32(temperature))
    return levels.numpy(), nats.numpy()


def _raster(model, images, masks, conditional, seeds, completions, temperature):
    """One row for each completion; the oracle that anything faster is held against."""
    import tensorflow as tf

    config = model.config
    hidden = masks[..., 0] == 0
    levels = np.where(masks == 1, images, 0)
    shape = (config.height, config.width, config.channels, config.num_levels)
    gumbel = noise.gumbel(tf.constant(seeds), tf.constant(completions), shape).numpy()
    for row, column in np.argwhere(hidden.any(axis=0)):
        for channel in range(config.channels):
            prior = model.prior.predict_on_batch(scale(levels.astype(np.float32), config.num_levels))
            at = (slice(None), row, column, channel)
            drawn = rows.draw(prior[at] + conditional[at], gumbel[at], np.float32(temperature)).numpy()
            levels[at] = np.where(hidden[:, row, column], drawn, levels[at])
    return levels, log_likelihood(model, levels, masks)
