"""Likelihood, realism, diversity and calibration of a trained model, as a table and JSON."""

import json
from pathlib import Path

import numpy as np

from pcnn_keras.commands.datasets import model_images
from pcnn_keras.commands.flags import Parser, expect_own, number
from pcnn_keras.commands.progress import Progress
from pcnn_keras.config import MOST_SAMPLES, Config
from pcnn_keras.files import CLASSIFIER, expect_writable, replacing
from pcnn_keras.quiet import import_tensorflow


def parse():
    parser = Parser(__doc__)
    parser.add_model()
    parser.add_images()
    parser.add_argument("--limit", type=number(int, 10), default=1000, metavar="N",
                        help="test images, and validation images to judge realism by (default: 1000)")
    parser.add_argument("--drawn", type=number(int, 2), default=100, metavar="N",
                        help="of how many images many completions are drawn (default: 100)")
    parser.add_argument("--num-samples", type=number(int, 2, MOST_SAMPLES), default=64, metavar="N",
                        help="completions of each (default: 64)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures to this file")
    parser.add_argument("--bound", action="store_true", help="instead of measuring, find from where on sample.py warns "
                        "that an image is unlike what the model knows, and keep it in the model's folder")
    flags = parser.parse_args()
    if flags.bound and flags.json:
        parser.error("--bound measures nothing that --json could hold")
    return flags


def main():
    flags = parse()
    if flags.bound:
        expect_own(flags)
    config = Config.of_model(flags.model)
    if flags.json:
        expect_writable(flags.json)
    import_tensorflow()

    from pcnn_keras.evaluation.classifier import find_classifier
    from pcnn_keras.evaluation.evaluate import evaluate, table
    from pcnn_keras.evaluation.visible import save_bound
    from pcnn_keras.network.model import load

    model = load(flags.model)
    images = model_images(config, flags)
    if flags.bound:
        print(f"Wrote {save_bound(model, images.validation, flags.model)}.")
        return
    classifier = find_classifier(flags.model, config)
    if not classifier:
        print(f"{flags.model / CLASSIFIER} is not there, so no realism and no classes. If the data set has classes, "
              f"python -m pcnn_keras.classifier --model {flags.model} makes it.")
    test, validation = (part[: flags.limit].astype(np.int32) for part in (images.test, images.validation))
    print(f"{len(test):,} of {len(images.test):,} test images.", flush=True)
    with Progress("Evaluating") as progress:
        result = {"dataset": flags.dataset or config.dataset,
                  **evaluate(model, test, validation, classifier, flags.num_samples, flags.drawn, progress)}
    print(table(result))
    if flags.json:
        with replacing(flags.json) as aside:
            text = json.dumps(result, indent=1).replace("NaN", "null")  # where there is too little to say
            aside.write_text(text + "\n", encoding="utf-8")
