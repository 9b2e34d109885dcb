"""The functional two-head model, and the folder it is kept in.

    context = conditioner(conditioning)                               once an image
    logits = merge(prior(image, context), context)                    p(x_i | x_<i, c) = softmax(logits_i)

See `networks` for the ways in which the two meet; the paper's is a sum (equation 3).
"""

from pathlib import Path

import keras

from pcnn_keras.config import Config
from pcnn_keras.errors import InputError, expect_kind, reason
from pcnn_keras.files import expect_files
from pcnn_keras.internals import initializers_from, weights_of_zeros
from pcnn_keras.models import find_model
from pcnn_keras.network.backend import single_precision
from pcnn_keras.network.layers import Merge
from pcnn_keras.network.networks import condition, prior_logits
from pcnn_keras.network.saved import check_shapes, check_weights, saved_config


@keras.saving.register_keras_serializable("pcnn_keras")
class PixelConstrainedCNN(keras.Model):
    """Functional Keras model of a `Config`; saved as its hyperparameters, not as a graph.

    It is of single precision, whatever Keras's policy.

    Inputs (a dict):
        image: float32 `(batch, height, width, channels)` in [0, 1], all pixels.
        conditioning: float32 `(batch, height, width, channels + 1)`: hidden pixels at 0, and the
            mask (1 = visible) appended.

    Outputs (a dict), each float32 `(batch, height, width, channels, num_levels)`, logits in nats:
        logits: of p(x_i | x_<i, c).
        conditional_logits: of the conditioning network alone, p(x_i | c).

    With slices, "image" and the outputs are of one slice, and "conditioning", of the shape `config.conditioning_shape`,
    is of the whole image, as `data.slices.network_inputs` lays it out.

    Attributes:
        config: the `Config`.
        conditioner: the conditioning network, from "conditioning" to a dict (see `networks.condition`).
        prior: the Gated PixelCNN, from a dict of "image" and, with the merge "blocks", "features" to logits.
        decoder: from "image" and what the conditioner gives, one dict, to "logits". Weights are shared.
    """

    @single_precision()
    def __init__(self, config, **kwargs):
        config = Config.from_dict(config) if isinstance(config, dict) else config
        image = keras.Input((*config.slice_size, config.channels), name="image")
        conditioning = keras.Input(config.conditioning_shape, name="conditioning")
        conditioner = keras.Model(conditioning, condition(conditioning, config), name="conditioner")
        handed_on = {name: keras.Input(output.shape[1:], name=name) for name, output in conditioner.output.items()}
        features = {name: values for name, values in handed_on.items() if name == "features"}
        prior = keras.Model({"image": image, **features}, prior_logits(image, config, **features), name="prior")

        def decode(context):
            logits = prior({"image": image, **{name: context[name] for name in features}})
            return Merge(name="logits")([logits, *(context[name] for name in ("conditional_logits", "weights")
                                                   if name in context)])

        context = conditioner(conditioning)
        super().__init__(
            inputs={"image": image, "conditioning": conditioning},
            outputs={"logits": decode(context), "conditional_logits": context["conditional_logits"]},
            **kwargs,
        )
        self.config = config
        self.prior = prior
        self.conditioner = conditioner
        self.decoder = keras.Model({"image": image, **handed_on}, decode(handed_on), name="decoder")

    def get_config(self):
        return {"config": self.config.to_dict(), "name": self.name, "trainable": self.trainable}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def build_model(config: Config) -> PixelConstrainedCNN:
    """A new model with fresh weights; see `PixelConstrainedCNN`.

    Weights are drawn from `config.seed`, whatever was drawn before; a caller's own random numbers
    go on as if nothing had been drawn.

    Args:
        config: its `Config`.

    Returns:
        A `PixelConstrainedCNN`, not compiled.

    Raises:
        InputError: if `config` is no `Config`.
    """
    with initializers_from(expect_kind("config", config, Config).seed):
        return PixelConstrainedCNN(config, name="pixel_constrained_cnn")


def config_of(model):
    """The settings of a caller's model; an `InputError` if it is no `PixelConstrainedCNN`."""
    return expect_kind("model", model, PixelConstrainedCNN).config


def load(folder: Path | str) -> PixelConstrainedCNN:
    """Loads a trained model: its settings and its weights, no code and nothing else that a file may ask for.

    Args:
        folder: holds `model.keras` and `config.json`; or a name, such as "mnist", or "hf://USER/REPO[@REVISION]":
            see `models.find_model`.

    Returns:
        A `PixelConstrainedCNN`; its settings are in `model.config`.

    Raises:
        InputError: if there is no such folder or name, if a file is missing or damaged, if the two do not belong
            together, or if weights are no finite numbers.
    """
    folder = find_model(folder)
    expect_files(folder, "config.json", "model.keras")
    config, path = Config.load(folder / "config.json"), folder / "model.keras"
    try:
        if config.obstacle(saved_config(path)):
            raise ValueError("config.json beside it is not that of its model.")
        shapes = check_weights(path, config)
        with weights_of_zeros():
            model = build_model(config)
        check_shapes(shapes, model)
        model.load_weights(path)
    except Exception as error:  # whatever the readers of zip, JSON and HDF5 raise
        raise InputError(f"{path} cannot be read: {reason(error)}") from error
    return model
