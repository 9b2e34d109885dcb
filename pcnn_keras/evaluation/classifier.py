"""A small classifier of a data set's levels, which says how real a completion looks.

`python -m pcnn_keras.classifier --model saved_models/mnist` trains it on the images as that model
sees them (same size, same levels) and keeps it in the model's folder.
"""

from pcnn_keras.commands.cli import Parser, import_tensorflow, model_config, number
from pcnn_keras.errors import InputError
from pcnn_keras.files import replacing

FILE = "classifier.keras"


def build_classifier(config, num_classes):
    """A convolutional network from images in [0, 1] to class logits; its layer "features" is 128 wide."""
    from keras import Input, Sequential, layers

    return Sequential([
        Input((config.height, config.width, config.channels)),
        *[layer for width in (32, 64) for layer in (
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(padding="same"), layers.Dropout(0.25))],
        layers.Flatten(),
        layers.Dense(128, activation="relu", name="features"),
        layers.Dropout(0.5),
        layers.Dense(num_classes, name="class_logits"),
    ])


def train_classifier(config, images, labels, epochs=8, seed=0):
    """Trains a classifier.

    Args:
        config: of the model whose completions will be classified.
        images, labels: `sources.Images` of levels, and of classes.

    Returns:
        The trained Keras model, and its accuracy on the test images.
    """
    import keras

    from pcnn_keras.data.pixels import scale

    keras.utils.set_random_seed(seed)
    model = build_classifier(config, int(labels.train.max()) + 1)
    pairs = [(scale(x.astype("float32"), config.num_levels), y) for x, y in zip(images, labels)]
    steps = epochs * -(-len(images.train) // 64)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
                  jit_compile=False)
    model.fit(*pairs[0], batch_size=64, epochs=epochs, validation_data=pairs[1], verbose=2)
    accuracy = model.evaluate(*pairs[2], batch_size=256, verbose=0)[1]
    kept = build_classifier(config, model.output_shape[-1])  # without the optimizer, twice as large as the weights
    kept.set_weights(model.get_weights())
    return kept, accuracy


def load_classifier(path, config):
    """Loads what `train_classifier` made, for a model of `config`; Keras's safe mode runs no code from it.

    Raises:
        InputError: if it is damaged, or of other images.
    """
    import keras

    try:
        classifier = keras.saving.load_model(path, compile=False, safe_mode=True)
        classifier.get_layer("features")
        if classifier.input_shape[1:] != (config.height, config.width, config.channels):
            raise ValueError(f"it is one of images of shape {classifier.input_shape[1:]}")
    except Exception as error:  # whatever Keras's readers raise
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    return classifier


def parse():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_images("images and classes to learn from (default: the model's own)")
    parser.add_argument("--epochs", type=number(int, 1), default=8, metavar="N")
    return parser.parse_args()


def main():
    flags = parse()
    config = model_config(flags.model)
    import_tensorflow()

    from pcnn_keras.data.sources import load_labels, load_model_images

    dataset = flags.dataset or config.dataset
    labels = load_labels(dataset, flags.data_dir)
    if labels is None:
        raise InputError(f"The images of {dataset!r} have no classes.")
    levels = load_model_images(config, dataset, flags.data_dir)
    model, accuracy = train_classifier(config, levels, labels, flags.epochs)
    with replacing(flags.model / FILE) as aside:
        model.save(aside)
    print(f"Accuracy on {len(levels.test)} test images: {accuracy:.2%}. Wrote {flags.model / FILE}.")
