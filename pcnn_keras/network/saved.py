"""What a `model.keras` holds: read as data alone, and held against settings before any weight is used.

No object that the file asks for is made, and nothing is unpacked: no array is larger than the file itself.
"""

import io
import json
import math
import zipfile
from collections import Counter

import h5py
import numpy as np

from pcnn_keras.config import Config

REGISTERED_NAME = "pcnn_keras>PixelConstrainedCNN"

LARGEST_WEIGHT = 1e6
"""Trained weights stay far below it; what is above overflows within a few layers."""


def saved_settings(path):
    """What Keras wrote of how a model is made. Other versions of Keras may not know each entry."""
    return json.loads(_member(path, "config.json", 100_000))


def saved_config(path):
    """The `Config` that a model was saved with; a `ValueError` if it is of another kind."""
    saved = saved_settings(path)
    if not isinstance(saved, dict) or saved.get("registered_name") != REGISTERED_NAME:
        raise ValueError("it holds another kind of model")
    return Config.from_dict(saved["config"]["config"])


def weight_shapes(path):
    """Shapes of the weights in a file, a list of tuples.

    Raises:
        ValueError: if a weight is no number, or so large that nothing but overflow comes of it.
    """
    weights = _saved_weights(path)
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise ValueError(f"weights in {name} are not finite numbers")
        if np.abs(values.astype(np.float64)).max(initial=0) > LARGEST_WEIGHT:
            raise ValueError(f"weights in {name} are above {LARGEST_WEIGHT:g}")
    return [values.shape for values in weights.values()]


def check_weights(path, config):
    """`weight_shapes`, and a `ValueError` too if no model of these settings has weights of such shapes."""
    shapes = weight_shapes(path)
    needed = [(config.kernel_size, config.kernel_size, config.conditioning_shape[-1], config.filters),
              (1, 1, config.filters, config.channels * config.values_per_channel)]
    if config.head_filters:
        needed.append((1, 1, config.filters, config.head_filters))
    if not set(needed) <= set(shapes) or config.prior_depth + config.conditioning_depth > len(shapes):
        raise ValueError("its weights are not those of a model with its settings")
    return shapes


def check_shapes(shapes, model):
    """A `ValueError` unless the shapes of a file's weights are those of a model's: no more, no fewer, no others."""
    if Counter(shapes) != Counter(tuple(weight.shape) for weight in model.weights):
        raise ValueError(f"its {len(shapes)} weights are not the {len(model.weights)} of a model with its settings")


def _member(path, name, most=math.inf):
    """The bytes of one file of an archive. A compressed one may unpack to any size; Keras compresses none."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its {name} is compressed, which Keras does not do")
        if info.file_size > most:
            raise ValueError(f"its {name} is too long")
        return archive.read(info)


def _saved_weights(path):
    """The arrays by name, without an optimizer's."""
    weights = {}

    def read(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            whole = item.dtype.kind == "f" and item.id.get_storage_size() == item.nbytes and not item.external
            if not whole:  # such as sparse ones, which unpack to any size, or those of another file
                raise ValueError(f"weights in {name} are not stored as plain numbers")
            weights[name] = item[()]

    with h5py.File(io.BytesIO(_member(path, "model.weights.h5"))) as file:
        file.visititems(read)
    return weights
