"""Completions by importance: what the model's own joint distribution makes of an occluded image.

With nothing visible the same network gives a joint p(x) over whole images. For a model that agrees
with itself, log p(x) - log p(x_hidden | c) would be the same number, log p(c), for all completions x
of one image; a model that was trained does not quite, and p(x) sees both sides of every border. So
completions drawn from q(x) = p(x_hidden | c) are weighed by

    w(x) = p(x) / q(x)

and resampled without replacement, each with probability proportional to its weight among those that
are left (the Gumbel top-k trick: Kool et al. 2019, arXiv:1903.06059): the highest of log w_k + g_k.
As the number of candidates grows, a draw's distribution goes to q w / sum(q w) = p(x) / p(c), the
joint's exact conditional (sampling importance resampling: Rubin 1988).

g_k is a noise variate of completion k that no pixel uses: what is kept can be repeated, and depends
on nothing but seed and candidates.
"""

import numpy as np
import tensorflow as tf

from pcnn_keras.inference.likelihood import context_of, nats_of_hidden
from pcnn_keras.inference.noise import gumbel


def log_weights(model, completions):
    """log w of completions: nats.

    Args:
        model: a `PixelConstrainedCNN`.
        completions: `Completions` of a batch of images, drawn with temperature 1.

    Returns:
        float32 `(batch, num_samples)`.
    """
    samples = completions.samples
    images = samples.reshape(-1, *samples.shape[2:])
    nothing_visible = np.zeros((*images.shape[:-1], 1), np.int32)
    context = context_of(model, images[:1], nothing_visible[:1])  # the same of all of them
    joint = nats_of_hidden(model, images, nothing_visible, context=context)
    return joint.reshape(samples.shape[:2]) - completions.log_likelihood


def resample(completions, weights, seeds, num_samples):
    """Keeps `num_samples` of each image's completions.

    Args:
        completions: `Completions` of a batch of images, in draw order.
        weights: log weights, float `(batch, candidates)`.
        seeds: int64 `(batch,)`, those that the completions were drawn with.
        num_samples: at most the number of candidates.

    Returns:
        `Completions` in draw order.
    """
    batch, candidates, *image = completions.samples.shape
    beyond = 1 + 256 * np.prod(image)  # any position that a pixel uses
    numbers = completions.draw.reshape(-1).astype(np.int64)
    noise = gumbel(np.repeat(seeds, candidates), numbers, tf.constant([beyond])).numpy().reshape(batch, candidates)
    highest = np.argsort(-(weights + noise), axis=1, kind="stable")[:, :num_samples]
    return completions.take(np.sort(highest, axis=1))
