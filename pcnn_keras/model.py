"""The functional two-head model, and the folder it is kept in.

    logits = prior_logits(image) + conditional_logits(conditioning)
    p(x_i | x_<i, c) = softmax(logits_i)                                       (equation 3)
"""

import json
import random
import zipfile
from pathlib import Path

import keras

from pcnn_keras.config import Config
from pcnn_keras.errors import InputError
from pcnn_keras.networks import conditioning_logits, prior_logits

REGISTERED_NAME = "pcnn_keras>PixelConstrainedCNN"


@keras.saving.register_keras_serializable("pcnn_keras")
class PixelConstrainedCNN(keras.Model):
    """Functional Keras model of a `Config`; saved as its hyperparameters, not as a graph.

    Inputs (a dict):
        image: float32 `(batch, height, width, channels)` in [0, 1], all pixels.
        conditioning: float32 `(batch, height, width, channels + 1)`: hidden pixels at 0, and the
            mask (1 = visible) appended.

    Outputs (a dict), each float32 `(batch, height, width, channels, num_levels)`:
        logits: of p(x_i | x_<i, c).
        conditional_logits: of the conditioning network alone, p(x_i | c).

    Attributes:
        config: the `Config`.
        prior, conditioner: the two networks as models of their own (shared weights).
    """

    def __init__(self, config, **kwargs):
        config = Config.from_dict(config) if isinstance(config, dict) else config
        size = (config.height, config.width)
        image = keras.Input((*size, config.channels), name="image")
        conditioning = keras.Input((*size, config.channels + 1), name="conditioning")
        prior = keras.Model(image, prior_logits(image, config), name="prior")
        conditioner = keras.Model(conditioning, conditioning_logits(conditioning, config),
                                  name="conditioner")
        conditional = conditioner(conditioning)
        logits = keras.layers.Add(name="logits")([prior(image), conditional])
        super().__init__(
            inputs={"image": image, "conditioning": conditioning},
            outputs={"logits": logits, "conditional_logits": conditional},
            **kwargs,
        )
        self.config = config
        self.prior = prior
        self.conditioner = conditioner
        if not xla_pays():
            for network in (self, prior, conditioner):
                network.jit_compile = False

    def get_config(self):
        return {"config": self.config.to_dict(), "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def xla_pays():
    """Whether to leave compilation to Keras. TensorFlow's XLA is slower than its own kernels on a CPU."""
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def build_model(config):
    """A new model with fresh weights; see `PixelConstrainedCNN`.

    Weights are drawn from `config.seed`, whatever was drawn before; a caller's own random numbers
    go on as if nothing had been drawn.
    """
    state = random.getstate()  # where Keras's initializers take their seeds from
    random.seed(config.seed)
    try:
        return PixelConstrainedCNN(config, name="pixel_constrained_cnn")
    finally:
        random.setstate(state)


def load(folder):
    """Loads a trained model: its settings and its weights, no code and nothing else that a file may ask for.

    Args:
        folder: holds `model.keras` and `config.json`.

    Returns:
        A `PixelConstrainedCNN`; its settings are in `model.config`.

    Raises:
        InputError: if a file is missing or damaged, or the two do not belong together.
    """
    folder = Path(folder)
    for name in ("config.json", "model.keras"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no {name}: not the folder of a trained model.")
    config, path = Config.load(folder / "config.json"), folder / "model.keras"
    try:
        fits = config.continues(_saved_config(path))
        if fits:
            model = build_model(config)
            model.load_weights(path)
    except Exception as error:  # whatever the readers of zip, JSON and HDF5 raise
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not fits:
        raise InputError(f"{folder}: config.json is not that of model.keras.")
    return model


def _saved_config(path):
    """The `Config` that a `model.keras` was saved with: data alone, no object that the file asks for is made."""
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo("config.json").file_size > 100_000:
            raise ValueError("its config.json is too long")
        saved = json.loads(archive.read("config.json"))
    if not isinstance(saved, dict) or saved.get("registered_name") != REGISTERED_NAME:
        raise ValueError("it holds another kind of model")
    return Config.from_dict(saved["config"]["config"])
