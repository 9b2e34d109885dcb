"""How far two models are apart on the same test images under the same masks, image by image.

    python experiments/paired.py BEFORE AFTER [--limit 1000]

Nats per image of each under the six masks of `pcnn_keras.evaluate`, and how many fewer AFTER has, with the standard
error over images: these differ far more than two likelihoods of one do. Then how many fewer than AFTER the two have
together, each prediction p(x_i | x_<i, c) being the mean of theirs: what two networks that were trained apart know, and
one of them does not.
"""

from pathlib import Path

import numpy as np
from common import Program, log_of, machine

import pcnn_keras as pcnn
from pcnn_keras.data.masks import mask_specs

AT_A_TIME = 50
"""Images: the probabilities of all levels of more of them fill gigabytes."""


def main():
    parser = Program(__doc__)
    parser.add_argument("models", type=Path, nargs=2, metavar="MODEL", help="of the same data set, size and levels")
    parser.add_argument("--limit", type=int, default=1000, help="of the test images")
    parser.add_argument("--data-dir", help="as train.py's")
    flags = parser.parse_args()

    from pcnn_keras.data.sources import load_model_images
    from pcnn_keras.evaluation.metrics import mean_and_error
    from pcnn_keras.inference.inputs import read_inputs
    from pcnn_keras.inference.predict import batches

    models = [pcnn.load(folder) for folder in flags.models]
    config = models[0].config
    images = load_model_images(config, data_dir=flags.data_dir).test[: flags.limit].astype(np.int32)
    print(machine())
    print("| mask | before | after | fewer | together, fewer than after |\n| --- | --- | --- | --- | --- |")
    for name, spec in mask_specs(config).items():
        masks, found = read_inputs(config, images, spec)[1], []
        for some, under in batches(AT_A_TIME, images, masks):
            each = [pcnn.pixel_probabilities(model, some, under) for model in models]
            found.append([-log_of(probabilities, some).sum(axis=(1, 2, 3))
                          for probabilities in (*each, np.mean(each, axis=0))])
        before, after, together = np.concatenate(found, axis=1)
        fewer = [mean_and_error(difference) for difference in (before - after, after - together)]
        print(f"| {name} | {before.mean():.2f} | {after.mean():.2f} |"
              + "".join(f" {each['mean']:.2f} ± {each['error']:.2f} |" for each in fewer), flush=True)


if __name__ == "__main__":
    main()
