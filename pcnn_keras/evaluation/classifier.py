"""A small classifier of a data set's levels, which says how real a completion looks.

It is trained on the images as a model sees them (same size, same levels) and kept in the model's folder.
"""

from pathlib import Path

import keras
import numpy as np
from keras import Input, Sequential, layers, ops

from pcnn_keras.data.pixels import scale
from pcnn_keras.errors import InputError, reason
from pcnn_keras.files import CLASSIFIER
from pcnn_keras.inference.predict import predict
from pcnn_keras.network.backend import single_precision
from pcnn_keras.network.saved import check_shapes, saved_settings, weight_shapes


def build_classifier(config, num_classes):
    """A convolutional network from images in [0, 1] to class logits; its layer "features" is 128 wide."""
    return Sequential([
        Input((config.height, config.width, config.channels)),
        *[layer for width in (32, 64) for layer in (
            layers.Conv2D(width, 3, padding="same", activation="relu", data_format="channels_last"),
            layers.Conv2D(width, 3, padding="same", activation="relu", data_format="channels_last"),
            layers.MaxPooling2D(padding="same", data_format="channels_last"), layers.Dropout(0.25))],
        layers.Flatten(data_format="channels_last"),
        layers.Dense(128, activation="relu", name="features"),
        layers.Dropout(0.5),
        layers.Dense(num_classes, name="class_logits"),
    ])


def train_classifier(config, images, labels, epochs=8):
    """Trains a classifier.

    Args:
        config: of the model whose completions will be classified.
        images, labels: `sources.Splits` of levels, and of classes.

    Returns:
        The trained Keras model, and its accuracy on the test images.
    """
    keras.utils.set_random_seed(0)
    model = build_classifier(config, int(labels.train.max()) + 1)
    pairs = [(scale(x.astype("float32"), config.num_levels), y) for x, y in zip(images, labels)]
    steps = epochs * -(-len(images.train) // 64)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(*pairs[0], batch_size=64, epochs=epochs, validation_data=pairs[1], verbose=2)
    accuracy = model.evaluate(*pairs[2], batch_size=256, verbose=0)[1]
    kept = build_classifier(config, model.output_shape[-1])  # without the optimizer, twice as large as the weights
    kept.set_weights(model.get_weights())
    return kept, accuracy


def load_classifier(path, config):
    """Loads the weights of what `train_classifier` made, for a model of `config`.

    Only weights are read: what one version of Keras writes of layers, an older one may refuse.

    Raises:
        InputError: if it is damaged, or of other images.
    """
    try:
        shapes, classes = weight_shapes(path), saved_settings(path)["config"]["layers"][-1]["config"]["units"]
        if (classes,) not in shapes:
            raise ValueError(f"it has no weights for {classes} classes")
        with single_precision():
            classifier = build_classifier(config, classes)
        check_shapes(shapes, classifier)
        classifier.load_weights(path)
    except Exception as error:  # whatever Keras's readers raise
        raise InputError(f"{path} cannot be read: {reason(error)}") from error
    return classifier


def find_classifier(folder, config):
    """The classifier in the folder of a model of `config`, or None if there is none. Errors: as `load_classifier`."""
    path = Path(folder) / CLASSIFIER
    return load_classifier(path, config) if path.is_file() else None


def likeliest(logits):
    """Of class logits `(n, num_classes)`: the likeliest class, int32 `(n,)`, and its probability, float32 `(n,)`."""
    return logits.argmax(axis=-1).astype(np.int32), ops.convert_to_numpy(ops.softmax(logits)).max(axis=-1)


def classify(classifier, samples, num_levels):
    """What a classifier makes of completions.

    Args:
        classifier: as `find_classifier` gives it.
        samples: levels `(n, num_samples, height, width, channels)`.
        num_levels: of the model.

    Returns:
        A dict of `likeliest_class`, int32, and `class_probability`, float32 from 0 to 1, each `(n, num_samples)`;
        an empty one without a classifier.
    """
    if not classifier:
        return {}
    levels = samples.reshape(-1, *samples.shape[2:]).astype(np.float32)
    found = likeliest(predict(classifier, scale(levels, num_levels), 256))
    return {name: values.reshape(samples.shape[:2])
            for name, values in zip(("likeliest_class", "class_probability"), found)}
