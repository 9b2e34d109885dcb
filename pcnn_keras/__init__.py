"""Pixel Constrained CNNs in Keras: likelihoods and completions of partly hidden images.

Names load what they need when they are first used, so `import pcnn_keras` is quick and imports
neither Keras nor TensorFlow.
"""

import importlib

from pcnn_keras.config import Config
from pcnn_keras.errors import InputError

_HOME = {
    "build_model": "network.model",
    "load": "network.model",
    "inpaint": "inference.sampling",
    "probability_progression": "inference.progression",
    "log_likelihood": "inference.likelihood",
    "pixel_probabilities": "inference.likelihood",
    "random_blob_masks": "data.blobs",
    "parse_mask": "data.masks",
    "load_images": "data.sources",
    "train": "training.train",
}

__all__ = ["Config", "InputError", *_HOME]

__version__ = "0.2.0"


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
