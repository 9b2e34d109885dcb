"""Likelihoods and probabilities, teacher-forced, in nats.

    log p(x_hidden | c) = sum over hidden i of log softmax(logits_i)[x_i]            (equation 2)

Visible pixels add exactly 0. With everything hidden it is the unconditional likelihood.
"""

import numpy as np

from pcnn_keras.inputs import check_images, network_inputs, predict


def log_likelihood(model, images, masks, batch_size=64):
    """How likely the hidden pixels of each image are, given the visible ones.

    Args:
        model: a `PixelConstrainedCNN`.
        images: levels 0 … num_levels - 1, `(batch, height, width, channels)`. What stands at
            hidden pixels is what is scored.
        masks: `(batch, height, width, 1)`, 1 = visible.
        batch_size: how many images pass through the network at a time.

    Returns:
        float32 `(batch,)`, nats, summed over hidden pixels and channels.

    Raises:
        InputError: if shapes or values do not fit the model.
    """
    images, masks = check_images(model.config, images, masks)
    logs = _log_probabilities(model, images, masks, batch_size)
    scored = np.take_along_axis(logs, images[..., None], axis=-1)[..., 0]
    return np.where(masks == 1, 0, scored).sum(axis=(1, 2, 3), dtype=np.float64).astype(np.float32)


def pixel_probabilities(model, images, masks, batch_size=64):
    """softmax of p(x_i | x_<i, c) at every pixel, the pixels before it being those of `images`.

    Args and errors: as `log_likelihood`.

    Returns:
        float32 `(batch, height, width, channels, num_levels)`; one-hot at visible pixels.
    """
    images, masks = check_images(model.config, images, masks)
    probabilities = np.exp(_log_probabilities(model, images, masks, batch_size))
    known = np.eye(model.config.num_levels, dtype=np.float32)[images]
    return np.where(masks[..., None] == 1, known, probabilities)


def _log_probabilities(model, images, masks, batch_size):
    if not len(images):
        return np.zeros((*images.shape, model.config.num_levels), np.float32)
    inputs = network_inputs(images, masks, model.config.num_levels)
    logits = predict(model, inputs, batch_size)["logits"]
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
