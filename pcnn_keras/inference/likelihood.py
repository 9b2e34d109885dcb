"""Likelihoods and probabilities, teacher-forced, in nats.

    log p(x_hidden | c) = sum over hidden i of log softmax(logits_i)[x_i]            (equation 2)

Visible pixels add exactly 0. With everything hidden it is the unconditional likelihood.
"""

from typing import Any

import numpy as np
from keras import ops

from pcnn_keras.data.slices import join
from pcnn_keras.errors import expect_whole
from pcnn_keras.inference.inputs import inputs_of, read_inputs
from pcnn_keras.inference.predict import batches, expect_finite, predict
from pcnn_keras.network.model import PixelConstrainedCNN, config_of


def log_likelihood(model: PixelConstrainedCNN, images: Any, masks: Any,
                   batch_size: int = 64) -> np.ndarray:
    """How likely the hidden pixels of each image are, given the visible ones.

    Args:
        model: a `PixelConstrainedCNN`.
        images: levels 0 … num_levels - 1, `(batch, height, width, channels)`, or in any form that `inpaint`
            takes; a single one is a batch of one. What stands at hidden pixels is what is scored.
        masks: `(batch, height, width, 1)`, 1 = visible, or in any form that `inpaint` takes.
        batch_size: how many images pass through the network at a time.

    Returns:
        float32 `(batch,)`, nats, summed over hidden pixels and channels.

    Raises:
        InputError: if shapes or values do not fit the model.
    """
    images, masks, _ = read_inputs(config_of(model), images, masks)
    batch_size = expect_whole("batch_size", batch_size, 1, 2**31 - 1)
    return nats_of_hidden(model, images, masks, batch_size)


def pixel_probabilities(model: PixelConstrainedCNN, images: Any, masks: Any,
                        batch_size: int = 64) -> np.ndarray:
    """p(x_i | x_<i, c) of every level at every pixel, the pixels before it being those of `images`.

    Args and errors: as `log_likelihood`.

    Returns:
        float32 `(batch, height, width, channels, num_levels)`; one-hot at visible pixels.
    """
    images, masks, _ = read_inputs(config_of(model), images, masks)
    batch_size = expect_whole("batch_size", batch_size, 1, 2**31 - 1)
    logits = teacher_forced(model, images, masks, batch_size)["logits"]
    return ops.convert_to_numpy(certain_where_visible(ops.softmax(logits), images, masks))


def nats_of_hidden(model, images, masks, batch_size=64, context=None):
    """What `log_likelihood` does, of checked arrays; `context` as in `teacher_forced`."""
    parts = [ops.convert_to_numpy(score(teacher_forced(model, x, m, batch_size, context)["logits"], x, m))
             for x, m in batches(batch_size, images, masks)]
    nats = np.concatenate([np.zeros(0, np.float32), *parts])  # of no image, too
    expect_finite(nats)
    return nats


def teacher_forced(model, images, masks, batch_size=64, context=None):
    """The model's two heads at every pixel of checked arrays: by name, `(batch, height, width, channels, num_levels)`,
    NumPy or, from several slices, tensors.

    Args:
        context: where the images agree in all that is visible, what `context_of` says of one, `(1, …)`, for the first
            slice: it is not computed again.
    """
    config = model.config

    def heads(k):
        inputs = inputs_of(images, masks, config, k)
        if k or context is None:
            return predict(model, inputs, batch_size)
        same = {name: np.repeat(x, len(images), axis=0) for name, x in context.items()}
        return {"logits": predict(model.decoder, {"image": inputs["image"], **same}, batch_size),
                "conditional_logits": same["conditional_logits"]}

    parts = [heads(k) for k in range(config.slices**2)]
    return {name: join([part[name] for part in parts], config.slices) for name in parts[0]}


def unconditional_logits(model, images):
    """The logits at every pixel of checked arrays with nothing visible but the pixels before: as `teacher_forced`."""
    nothing = np.zeros_like(images[..., :1])
    context = context_of(model, images[:1], nothing[:1])  # the same of all of them
    return teacher_forced(model, images, nothing, context=context)["logits"]


def context_of(model, images, masks, k=0):
    """What `networks.condition` says of slice k, from checked arrays; hidden pixels are seen in slices before k."""
    return predict(model.conditioner, inputs_of(images, masks, model.config, k)["conditioning"], 64)


def certain_where_visible(probabilities, images, masks):
    """Probabilities `(…, height, width, channels, num_levels)` with certainty where pixels are known; `keras.ops`."""
    known = ops.one_hot(images, probabilities.shape[-1], dtype=probabilities.dtype)
    return ops.where(ops.equal(masks, 1)[..., None], known, probabilities)


def score(logits, images, masks):
    """log p of the levels at hidden pixels: nats, float32 `(batch,)`; `keras.ops`.

    Args:
        logits: `(batch, height, width, channels, num_levels)`.
        images: int `(batch, height, width, channels)`; masks: `(batch, height, width, 1)`, 1 = visible.
    """
    return sum_over_hidden(log_probabilities(logits, images), masks)


def log_probabilities(logits, images):
    """log p of each level: nats, float32, of the images' shape; `keras.ops`. Args: as `score`."""
    return -ops.sparse_categorical_crossentropy(images, logits, from_logits=True)


def sum_over_hidden(nats, masks):
    """The sum of `(batch, height, width, channels)` over what a mask hides, `(batch,)`; `keras.ops`."""
    return ops.sum(ops.where(ops.equal(masks, 1), 0.0, nats), axis=(1, 2, 3))
