"""Does likelihood tell realism (section 5.2 of the paper), and does anything else that the model knows tell it better?

    TFDS_DATA_DIR=… python experiments/realism.py [--model DIR] [--images N] [--num-samples N]

Completions of MNIST's first test images, image i with seed i. Two judges of realism, by the classifier in the model's
folder:

    confidence  the probability of the likeliest class: a completion may well be another digit than the image was
    density     how many real digits, of 1,000 held-out ones, have the completion among their neighbours, over 5: 1 on
                average for real ones (evaluation/metrics.py). It is not saturated where the classifier is sure

Printed for each judge, each mask and each score, higher being better: Spearman's rank correlation with realism within
an image, where both vary; and how much realer than the average completion of an image the one of the highest score is.
Both are means over images with standard errors.

    surprise    log p(x_hidden | c) less what the model expects of it: sum (log p(x_i | .) + H_i), H_i the entropy
    window      the worst one, of 5 x 5 pixels: the minimum of a sum over its hidden pixels
"""

import numpy as np
from common import MNIST, Program, log_of, machine
from scipy.special import entr

import pcnn_keras as pcnn
from pcnn_keras.models import find_model

WINDOW = (5, 5)


def scores(model, draws, masks):
    """By name, `(n, num_samples)`: what the model says of completions drawn under masks `(n, height, width, 1)`."""
    from pcnn_keras.inference.importance import log_weights

    count, num_samples, *size = draws.samples.shape
    images = draws.samples.reshape(-1, *size)
    probabilities = pcnn.pixel_probabilities(model, images, masks.repeat(num_samples, axis=0))
    nats = log_of(probabilities, images).sum(axis=-1)
    surprise = nats + entr(probabilities).sum(axis=(-1, -2))  # of what is certain 0, too
    weights = log_weights(model, draws)

    def worst(values):
        windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=(1, 2))
        return windows.sum(axis=(-1, -2)).min(axis=(1, 2)).reshape(count, num_samples)

    return {"log p(x_hidden \\| c)": draws.log_likelihood,
            "log p(x), nothing visible": draws.log_likelihood + weights,
            "log importance weight, the second less the first": weights,
            "surprise": surprise.sum(axis=(1, 2)).reshape(count, num_samples),
            "log p, worst window": worst(nats),
            "surprise, worst window": worst(surprise)}


def cell(values):
    """Mean and standard error, as a table has them."""
    from pcnn_keras.evaluation.metrics import mean_and_error

    return "{mean:.3f} ± {error:.3f}".format(**mean_and_error(values))


def main():
    parser = Program(__doc__)
    parser.add_argument("--model", default=MNIST)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--num-samples", type=int, default=16)
    flags = parser.parse_args()

    from pcnn_keras.data.sources import load_model_images
    from pcnn_keras.evaluation.classifier import find_classifier
    from pcnn_keras.evaluation.evaluate import Judge
    from pcnn_keras.evaluation.metrics import rank_correlation
    from pcnn_keras.inference.inputs import read_inputs

    folder = find_model(flags.model)
    model = pcnn.load(folder)
    config, classifier = model.config, find_classifier(folder, model.config)
    if not classifier:
        parser.error(f"{folder} has no classifier")
    splits = load_model_images(config)
    judge = Judge(classifier, config, splits.validation[:1000])
    images = splits.test[: flags.images].astype(np.int32)
    print(machine(), flush=True)
    tables = {"confidence": {}, "density": {}}
    for spec in (config.blobs, config.bottom):
        masks = read_inputs(config, images, spec)[1]
        draws = pcnn.inpaint(model, images, masks, flags.num_samples, seed=np.arange(len(images)))
        judged, found = judge.realism(draws.samples.reshape(-1, *images.shape[1:])), scores(model, draws, masks)
        for name, rows in tables.items():
            realism = judged[name].reshape(draws.draw.shape)
            print(f"{spec}: {name} {cell(realism.mean(axis=1))}", flush=True)
            for score, values in found.items():
                correlations = [rank_correlation(*pair) for pair in zip(values, realism)]
                best = np.take_along_axis(realism, values.argmax(axis=1)[:, None], axis=1)[:, 0]
                vary = [c for c in correlations if c == c]  # it has none where all are as real
                rows.setdefault(score, []).extend(map(cell, (vary, best - realism.mean(axis=1))))
            print(f"{spec}: {name} differs among the completions of {len(vary)} images", flush=True)
    for name, rows in tables.items():
        print(f"\n{name}")
        for score, row in rows.items():
            print(f"| {score} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
