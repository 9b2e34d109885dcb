"""Trains a small classifier on the images as a model sees them, and keeps it in the model's folder.

`evaluate` judges with it how real completions look.
"""

from pcnn_keras.commands.datasets import data_dir, model_images
from pcnn_keras.commands.flags import Parser, expect_own, number
from pcnn_keras.config import Config
from pcnn_keras.errors import InputError
from pcnn_keras.files import CLASSIFIER, expect_writable, replacing
from pcnn_keras.quiet import import_tensorflow


def parse():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_images("images and classes to learn from (default: the model's own)")
    parser.add_argument("--epochs", type=number(int, 1), default=8, metavar="N", help="passes over them (default: 8)")
    parser.add_argument("--force", action="store_true", help="replace the classifier that is there")
    return parser.parse_args()


def main():
    flags = parse()
    expect_own(flags)
    config, path = Config.of_model(flags.model), flags.model / CLASSIFIER
    if path.exists() and not flags.force:
        raise InputError(f"{path} is there already (--force replaces it).")
    expect_writable(path)
    import_tensorflow()

    from pcnn_keras.data.sources import load_labels
    from pcnn_keras.evaluation.classifier import train_classifier

    dataset = flags.dataset or config.dataset
    labels = load_labels(dataset, data_dir(config, flags))
    if labels is None:
        raise InputError(f"The images of {dataset!r} have no classes.")
    levels = model_images(config, flags)
    model, accuracy = train_classifier(config, levels, labels, flags.epochs)
    with replacing(path) as aside:
        model.save(aside)
    print(f"Accuracy on {len(levels.test)} test images: {accuracy:.2%}. Wrote {path}.")
