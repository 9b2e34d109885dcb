"""Pixel Constrained CNNs in Keras: likelihoods and completions of partly hidden images.

Names load what they need when they are first used, so `import pcnn_keras` is quick and imports
neither Keras nor TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING

from pcnn_keras.config import Config
from pcnn_keras.errors import InputError

if TYPE_CHECKING:  # what `_HOME` says, in words that editors and type checkers understand
    from pcnn_keras.data.blobs import random_blob_masks
    from pcnn_keras.data.masks import parse_mask
    from pcnn_keras.data.pixels import to_levels, to_pixels
    from pcnn_keras.data.prepare import prepare_digit
    from pcnn_keras.data.sources import Splits, load_images
    from pcnn_keras.inference.likelihood import log_likelihood, pixel_probabilities
    from pcnn_keras.inference.progression import probability_progression
    from pcnn_keras.inference.sampling import inpaint
    from pcnn_keras.network.model import build_model, load
    from pcnn_keras.training.train import train

_HOME = {
    "build_model": "network.model",
    "load": "network.model",
    "inpaint": "inference.sampling",
    "probability_progression": "inference.progression",
    "log_likelihood": "inference.likelihood",
    "pixel_probabilities": "inference.likelihood",
    "random_blob_masks": "data.blobs",
    "parse_mask": "data.masks",
    "to_levels": "data.pixels",
    "to_pixels": "data.pixels",
    "prepare_digit": "data.prepare",
    "load_images": "data.sources",
    "Splits": "data.sources",
    "train": "training.train",
}

__all__ = [
    "Config", "InputError", "Splits", "build_model", "inpaint", "load", "load_images", "log_likelihood", "parse_mask",
    "pixel_probabilities", "prepare_digit", "probability_progression", "random_blob_masks", "to_levels", "to_pixels",
    "train",
]

__version__ = "0.2.0"


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
