"""How far two models are apart on the same test images under the same masks, image by image.

    python experiments/paired.py BEFORE AFTER [--limit 1000]

Nats per image of each under the six masks of `pcnn_keras.evaluate`, and how many fewer AFTER has, with the standard
error over images. Images differ far more than two likelihoods of one do: the errors of the two apart say little.
"""

from pathlib import Path

import numpy as np
from common import Program, machine

import pcnn_keras as pcnn
from pcnn_keras.data.masks import mask_specs


def main():
    parser = Program(__doc__)
    parser.add_argument("models", type=Path, nargs=2, metavar="MODEL", help="of the same data set, size and levels")
    parser.add_argument("--limit", type=int, default=1000, help="of the test images")
    parser.add_argument("--data-dir", help="as train.py's")
    flags = parser.parse_args()

    from pcnn_keras.data.sources import load_model_images
    from pcnn_keras.evaluation.metrics import mean_and_error

    models = [pcnn.load(folder) for folder in flags.models]
    images = load_model_images(models[0].config, data_dir=flags.data_dir).test[: flags.limit].astype(np.int32)
    print(f"{machine()}\n| mask | before | after | fewer |\n| --- | --- | --- | --- |")
    for name, spec in mask_specs(models[0].config).items():
        before, after = (-pcnn.log_likelihood(model, images, spec) for model in models)
        fewer = mean_and_error(before - after)
        print(f"| {name} | {before.mean():.2f} | {after.mean():.2f} | {fewer['mean']:.2f} ± {fewer['error']:.2f} |",
              flush=True)


if __name__ == "__main__":
    main()
