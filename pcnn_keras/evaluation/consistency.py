"""Whether conditionals agree with the model's own joint.

With nothing visible the model gives a joint p(x) over whole images. If its conditionals agreed with
it, log p(x) - log p(x_hidden | c) would be log p(c), the same number for all completions x of one
image. How much it varies over completions that the model drew, how few of them importance sampling
could use (see `inference.importance`), and what likelihood the joint implies for the true pixels,

    log p(x_hidden | c) = log p(x) - log p(c),

say how far they do: the last in nats, and in what these exceed the model's own by, image by image, for images differ
far more than the two likelihoods of one. log p(c) lies between two estimates from K completions x_k with weights w_k:

    log mean_k w_k    (below it on average: Jensen)
    log mean of the w_k and of the truth's own weight    (above it on average, were the truth a draw of the joint:
                                                          Grosse et al. 2015, arXiv:1511.02543)
"""

import numpy as np
from scipy.special import logsumexp, softmax

from pcnn_keras.evaluation.metrics import mean_and_error
from pcnn_keras.inference.importance import log_weights


def consistency(model, draws, truth, joint):
    """Measures of the log importance weights, each with its standard error over images.

    Args:
        model: a `PixelConstrainedCNN`.
        draws: `Completions` of a batch of images, at temperature 1.
        truth: log p(x_hidden | c) of the true pixels, `(batch,)`, nats.
        joint: log p(x) of the true images, nothing visible, `(batch,)`, nats.

    Returns:
        A dict of `log_weight_sd` (nats), `effective_sample_size` (of so many completions), `implied_nats_low` and
        `implied_nats_high` (nats an image), `implied_excess_low` and `implied_excess_high` (by how many they exceed
        the model's own, image by image; the high one by no less than -log(num_samples + 1)), and the log weights,
        `(batch, num_samples)`.
    """
    weights = log_weights(model, draws)
    with_truth = np.concatenate([weights, (joint - truth)[:, None]], axis=1)
    measures = {"log_weight_sd": mean_and_error(weights.std(axis=1, ddof=1)),
                "effective_sample_size": mean_and_error(effective_sample_size(weights))}
    for side, some in (("low", weights), ("high", with_truth)):
        implied = logsumexp(some, axis=1, b=1 / some.shape[1]) - joint
        measures |= {f"implied_nats_{side}": mean_and_error(implied),
                     f"implied_excess_{side}": mean_and_error(implied + truth)}
    return measures, weights


def effective_sample_size(weights):
    """Kish's, of log weights along the last axis: 1 to their number."""
    return 1 / (softmax(weights, axis=-1) ** 2).sum(axis=-1)


def colour_correlation(images, masks):
    """Pearson's correlation over images between the mean colour of hidden and of visible pixels.

    Channels are correlated by themselves, and averaged; the standard error is Fisher's, (1 - r^2) / sqrt(n - 1).

    Args:
        images: levels `(batch, height, width, channels)`; those that have no hidden or no visible pixel do not count.
        masks: `(batch, height, width, 1)`, 1 = visible.
    """
    visible, hidden = masks == 1, masks == 0
    both = visible.any(axis=(1, 2, 3)) & hidden.any(axis=(1, 2, 3))
    hidden, visible = ((images * part).sum(axis=(1, 2))[both] / part.sum(axis=(1, 2))[both]
                       for part in (hidden, visible))
    if len(hidden) < 3 or not (hidden.std(axis=0).all() and visible.std(axis=0).all()):
        return {"mean": np.nan, "error": np.nan}
    r = np.mean([np.corrcoef(h, v)[0, 1] for h, v in zip(hidden.T, visible.T)])
    return {"mean": float(r), "error": float((1 - r**2) / np.sqrt(len(hidden) - 1))}
