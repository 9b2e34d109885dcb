"""Likelihoods and probabilities, teacher-forced, in nats.

    log p(x_hidden | c) = sum over hidden i of log softmax(logits_i)[x_i]            (equation 2)

Visible pixels add exactly 0. With everything hidden it is the unconditional likelihood.
"""

import numpy as np

from pcnn_keras.inference.inputs import check_images, network_inputs, predict


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
    return score(_log_probabilities(model, images, masks, batch_size), images, masks)


def pixel_probabilities(model, images, masks, batch_size=64):
    """softmax of p(x_i | x_<i, c) at every pixel, the pixels before it being those of `images`.

    Args and errors: as `log_likelihood`.

    Returns:
        float32 `(batch, height, width, channels, num_levels)`; one-hot at visible pixels.
    """
    images, masks = check_images(model.config, images, masks)
    return one_hot_where_visible(np.exp(_log_probabilities(model, images, masks, batch_size)), images, masks)


def conditional_logits(model, images, masks, batch_size=64):
    """Logits of the conditioning network alone, from checked arrays; hidden pixels are not looked at."""
    inputs = network_inputs(np.where(masks == 1, images, 0), masks, model.config.num_levels)
    return predict(model.conditioner, inputs["conditioning"], batch_size)


def one_hot_where_visible(probabilities, images, masks):
    """Probabilities `(batch, height, width, channels, num_levels)` with certainty where pixels are known."""
    known = np.eye(probabilities.shape[-1], dtype=np.float32)[images]
    return np.where(masks[..., None] == 1, known, probabilities)


def score(log_probabilities, images, masks):
    """Sums the log-probabilities of the levels at hidden pixels: float32 `(batch,)`, nats."""
    scored = np.take_along_axis(log_probabilities, images[..., None], axis=-1)[..., 0]
    return np.where(masks == 1, 0, scored).sum(axis=(1, 2, 3), dtype=np.float64).astype(np.float32)


def log_softmax(logits):
    """Log-probabilities over the last axis, NumPy."""
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def _log_probabilities(model, images, masks, batch_size):
    inputs = network_inputs(images, masks, model.config.num_levels)
    return log_softmax(predict(model, inputs, batch_size)["logits"])
