"""Whether the visible part of an image is anything like what a model was trained on.

The score is how far the visible pixels are less likely than the model expects of its own draws, under its joint
distribution with nothing visible. Of the visible pixels i, a completion standing at the hidden ones:

    z = sum (-log p(x_i | x_<i) - H_i) / sqrt(1 + sum V_i),    H_i, V_i: mean and variance of -log p(. | x_<i), in nats

Of held-out images, each under one of the masks, one in a thousand is above the bound that is kept in the model's
folder, or, of fewer than a thousand, one. docs/experiments.md has what else was tried.
"""

import json
import math
from pathlib import Path

import numpy as np
from keras import ops

from pcnn_keras.data.masks import mask_specs, parse_mask
from pcnn_keras.errors import InputError
from pcnn_keras.files import replacing
from pcnn_keras.inference.likelihood import unconditional_logits
from pcnn_keras.inference.predict import batches
from pcnn_keras.inference.sampling import inpaint

FILE = "visible.json"
"""In the folder of a model, the bound and what it was found from."""

QUANTILE = 0.999

LEAST = 3.0
"""No bound is lower: the highest of a few images says little."""

MOST_IMAGES = 1000
"""The bound is found with no more."""

AT_A_TIME = 64
"""Images: what is said of larger ones fills gigabytes."""


def surprise(model, completed, masks):
    """z of the visible pixels of images.

    Args:
        completed: levels `(n, height, width, channels)`, a completion of each image. The bound is found with ones drawn
            at temperature 1; another temperature, or a choice by importance, changes z somewhat.
        masks: `(n, height, width, 1)`, 1 = visible.

    Returns:
        float `(n,)`, in standard deviations; 0 where nothing is visible.
    """
    def of_some(completed, masks):
        nats = -ops.convert_to_numpy(ops.log_softmax(unconditional_logits(model, completed)))
        probabilities = np.exp(-nats)
        mean = (probabilities * nats).sum(axis=-1)
        variance = (probabilities * nats**2).sum(axis=-1) - mean**2
        found = np.take_along_axis(nats, completed[..., None], axis=-1)[..., 0]
        excess, variance = ((values * masks).sum(axis=(1, 2, 3)) for values in (found - mean, variance))
        return excess / np.sqrt(1 + variance)

    return np.concatenate([of_some(*some) for some in batches(AT_A_TIME, completed, masks)])


def unlike(model, bound, completed, masks, names=None):
    """Of each image, that its z is above the bound, in words; "" if it is not.

    Args:
        model, completed, masks: as `surprise`.
        bound: of `load_bound`.
        names: of the images, or None.
    """
    scores = surprise(model, completed, masks) if bound < math.inf else [bound] * len(masks)
    return [f"what is visible{f' of {name}' * bool(name)} is unlike what the model knows: {score:.1f} standard "
            f"deviations less likely than expected, held-out images up to {bound:.1f}" if score > bound else ""
            for score, name in zip(scores, names or [""] * len(masks))]


def save_bound(model, images, folder):
    """Finds the bound of a model with held-out levels `(n, height, width, channels)`, and writes it to its folder.

    Returns the file. The masks are those of `evaluate` that leave something visible, one after the other.
    """
    images, config = images[:MOST_IMAGES].astype(np.int32), model.config
    makers = [parse_mask(spec, config.height, config.width) for spec in mask_specs(config).values() if spec != "none"]
    masks = np.stack([makers[i % len(makers)](i) for i in range(len(images))])
    seeds = np.arange(len(images))
    completed = np.concatenate([inpaint(model, some, under, 1, seed=of).samples[:, 0]
                                for some, under, of in batches(AT_A_TIME, images, masks, seeds)])
    highest = max(LEAST, float(np.quantile(surprise(model, completed, masks), QUANTILE)))
    bound = {"standard_deviations": highest, "quantile": QUANTILE, "images": len(images)}
    with replacing(Path(folder) / FILE) as aside:
        aside.write_text(json.dumps(bound, indent=1) + "\n", encoding="utf-8")
    return Path(folder) / FILE


def load_bound(folder):
    """z, above which what is visible is unlike held-out images; infinite if there is no file.

    Raises:
        InputError: if the file holds something else.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return math.inf
    try:
        bound = float(json.loads(path.read_text(encoding="utf-8"))["standard_deviations"])
        if not math.isfinite(bound):  # nothing would be above it
            raise ValueError
        return bound
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} holds no bound: python -m pcnn_keras.evaluate --bound --model {folder} makes it."
                         ) from error
