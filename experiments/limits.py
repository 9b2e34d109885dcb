"""What limits a model: its size and training, its data, or that its conditional distributions miss its own joint one?

`python experiments/limits.py [MODEL] [IMAGES]` (default: saved_models/mnist, 1000), with the model's own images. Two
tables, of nats per image with standard errors; of a model in slices the first alone:

Images that it was trained with beside held-out ones, under the same blob masks: what it knows by heart. And test images
under blobs of one iteration less at most, as the authors' published code has them.

The joint likelihood of test images by the chain rule, cut in two parts at a row:

    log p(x) = log p(rows above | nothing) + log p(rows below | rows above)

A model that agrees with itself gives the same wherever it is cut. The mixture of all the cuts is a distribution, too:
an ensemble whose members share their weights. What it gains over no cut could be had from the same weights. Where it is
cut, all that is visible comes before all that is hidden; of other masks, the log importance weights of
`pcnn_keras.evaluate` say how far conditional and joint distributions disagree.
"""

import numpy as np
from common import MNIST, Program, machine

import pcnn_keras as pcnn

CUTS = 4


def line(name, nats):
    """A row of a table, of log-likelihoods `(n,)`."""
    print(f"| {name} | {-nats.mean():.2f} ± {nats.std(ddof=1) / len(nats)**0.5:.2f} |", flush=True)


def by_cut(model, images):
    """log p(x) by the cuts: `(CUTS, n)`, the first of which is no cut."""
    from pcnn_keras.inference.likelihood import score, unconditional_logits

    hidden = np.zeros((*images.shape[:3], 1), np.int32)
    logits = unconditional_logits(model, images)
    found = []
    for row in np.arange(CUTS) * model.config.height // CUTS:
        below, above = hidden.copy(), hidden.copy()
        below[:, row:] = 1  # as if they were visible: only the rows above are scored
        above[:, :row] = 1
        rows_above = np.asarray(score(logits, images, below)) if row else 0
        found.append(rows_above + pcnn.log_likelihood(model, images, above))
    return np.stack(found)


def main():
    parser = Program(__doc__)
    parser.add_argument("model", nargs="?", default=MNIST)
    parser.add_argument("images", type=int, nargs="?", default=1000)
    parser.add_argument("--data-dir", help="as train.py's")
    flags = parser.parse_args()

    from pcnn_keras.data.sources import load_model_images

    model = pcnn.load(flags.model)
    splits = load_model_images(model.config, data_dir=flags.data_dir)
    print(machine())
    config = model.config
    masks, smaller = (pcnn.random_blob_masks(flags.images, config.height, config.width, config.max_num_blobs,
                                             config.iter_min, most, seed=0)
                      for most in (config.iter_max, config.iter_max - 1))
    print("| images, blob masks | nats per image |\n| --- | --- |")
    for name, images in (("trained with", splits.train), ("held out", splits.validation), ("test", splits.test)):
        part = images[: flags.images]
        line(name, pcnn.log_likelihood(model, part, masks[: len(part)]))
    hidden = [1 - np.mean(each) for each in (masks, smaller)]
    line(f"test, {hidden[1]:.3f} of the pixels hidden, where it was {hidden[0]:.3f}",
         pcnn.log_likelihood(model, part, smaller[: len(part)]))
    if model.config.slices > 1:
        return  # its pixels are not drawn row after row
    print("\n| joint likelihood, test images | nats per image |\n| --- | --- |")
    cuts = by_cut(model, splits.test[: flags.images].astype(np.int32))
    for k, nats in enumerate(cuts):
        line(f"cut above row {k * model.config.height // CUTS}" if k else "no cut", nats)
    mixture = np.logaddexp.reduce(cuts, axis=0) - np.log(CUTS)
    line(f"mixture of these {CUTS}", mixture)
    line("mixture less no cut (gain)", cuts[0] - mixture)


if __name__ == "__main__":
    main()
