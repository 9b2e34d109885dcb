"""What a model is worth: likelihood, realism, diversity, calibration.

Under each of six masks (blobs, bottom quarter, top half and left half visible, 15 % of the pixels, nothing):

- likelihood of held-out images, by the model, by the conditional head alone (p(x_i | c)), and were nothing
  visible but the pixels before (what those after a pixel are worth);
- realism of one completion of each image: a classifier's confidence, density and coverage of its
  features among those of real images (arXiv:2002.09797);
- diversity of many completions of one image: classes, their entropy, pairwise Hamming distance;
- whether the conditionals agree with the model's own joint (see `consistency`), and what drawing by importance does
  for the classifier's confidence, beside all draws and the best quarter by likelihood;
- in colour, the correlation of the mean colours of hidden and visible pixels, of completions and of real images;
- whether likelihood tells realism (Spearman's correlation with the confidence, section 5.2), and
  whether it is calibrated: the rank of the true pixels' likelihood among the completions'.

Image i has seed i everywhere. Each measure comes with its standard error over images, that of density given the real
images that are its reference, and that of coverage, which is over these, given the completions.
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import softmax
from scipy.stats import entropy

from pcnn_keras.data.masks import mask_specs
from pcnn_keras.data.pixels import scale
from pcnn_keras.errors import InputError
from pcnn_keras.evaluation.classifier import likeliest
from pcnn_keras.evaluation.consistency import colour_correlation, consistency
from pcnn_keras.evaluation.metrics import (
    density_and_coverage,
    mean_and_error,
    mean_hamming_distance,
    rank_among,
    rank_correlation,
    ratio_and_error,
)
from pcnn_keras.inference.inputs import read_inputs
from pcnn_keras.inference.likelihood import (
    log_probabilities,
    score,
    sum_over_hidden,
    teacher_forced,
    unconditional_logits,
)
from pcnn_keras.inference.predict import batches, predict
from pcnn_keras.inference.sampling import inpaint

NEIGHBOURS = 5
BINS = 8


def likelihoods(model, images, masks, batch_size=64):
    """Log-likelihoods `(n,)`, nats: of the model, and of its conditional head."""
    heads = {"sum": "logits", "conditional_head": "conditional_logits"}
    parts = [[score(logits[head], x, m) for head in heads.values()]
             for x, m in batches(batch_size, images, masks) for logits in [teacher_forced(model, x, m)]]
    return dict(zip(heads, np.concatenate(parts, axis=1)))


def unconditional(model, images, batch_size=64):
    """log p of each level were nothing visible but what comes before: nats, of the images' shape."""
    return np.concatenate([ops.convert_to_numpy(log_probabilities(unconditional_logits(model, x), x))
                           for x, in batches(batch_size, images)])


def evaluate(model, images, reference, classifier=None, num_samples=64, num_drawn=100, progress=None):
    """Evaluates a model.

    Args:
        model: a `PixelConstrainedCNN`.
        images: levels `(n, height, width, channels)` that it was not trained on.
        reference: other real levels, for density and coverage.
        classifier: a model of `classifier.build_classifier`, or None: no realism and no classes.
        num_samples: completions of an image, at least 2.
        num_drawn: of how many images that many completions are drawn.
        progress: None, or a function that is called now and then with the share that is done.

    Returns:
        A dict that JSON can hold: settings, `real` (the measures of real images) and `masks`. A measure
        that too few images leave open is NaN.

    Raises:
        InputError: if `reference` is too small to judge realism by.
    """
    config = model.config
    specs = mask_specs(config)
    if classifier and len(reference) <= NEIGHBOURS:
        raise InputError(f"Realism needs more than {NEIGHBOURS} validation images. Received: {len(reference)}.")
    judge = classifier and Judge(classifier, config, reference)
    result = {"images": len(images), "images_drawn": min(num_drawn, len(images)),
              "samples": num_samples, "real": judge(images) if judge else {}, "masks": {}}
    alone = unconditional(model, images)
    for i, (name, spec) in enumerate(specs.items()):
        masks = read_inputs(config, images, spec)[1]
        found = likelihoods(model, images, masks)
        drawn = slice(num_drawn)
        result["masks"][name] = {
            **_likelihood_measures(
                found | {"unconditional": ops.convert_to_numpy(sum_over_hidden(alone, masks))}, masks, config),
            **_first_draw_measures(model, images, masks, judge),
            **_draws_measures(model, images[drawn], masks[drawn], found["sum"][drawn],
                              alone[drawn].sum(axis=(1, 2, 3)), judge, num_samples)}
        if progress:
            progress((i + 1) / len(specs))
    return result


def _likelihood_measures(found, masks, config):
    nats = {name: -values for name, values in found.items()}
    hidden = (masks == 0).sum(axis=(1, 2, 3))
    measures: dict[str, Any] = {"hidden_share": float(hidden.mean() / np.prod(masks.shape[1:]))}
    for name, values in nats.items():
        per_dimension = ratio_and_error(values, hidden * config.channels)
        measures |= {f"{name}_nats_per_image": mean_and_error(values),
                    f"{name}_nats_per_hidden_pixel": ratio_and_error(values, hidden),
                    f"{name}_bits_per_dimension": {k: v / np.log(2) for k, v in per_dimension.items()}}
    return measures


def _first_draw_measures(model, images, masks, judge):
    colour = model.config.channels > 1
    if not (judge or colour):
        return {}
    first = np.concatenate([inpaint(model, x, m, 1, seed=seeds).samples[:, 0]
                            for x, m, seeds in batches(64, images, masks, np.arange(len(images)))])
    measures = judge(first) if judge else {}
    if colour:
        measures |= {"colour_correlation": colour_correlation(first, masks),
                    "colour_correlation_real": colour_correlation(images, masks)}
    return measures


def _draws_measures(model, images, masks, truth, joint, judge, num_samples):
    draws = inpaint(model, images, masks, num_samples, seed=np.arange(len(images)))
    # Equal images tie, although one is scored teacher-forced and the others as they are drawn.
    ranks = np.array([rank_among(*pair) for pair in zip(truth.round(3), draws.log_likelihood.round(3))])
    distances = [mean_hamming_distance(samples, mask[..., 0] == 0)
                 for samples, mask in zip(draws.samples, masks) if not mask.all()]
    consistent, weights = consistency(model, draws, truth, joint)
    measures = {"hamming_distance": mean_and_error(distances), "rank_of_truth": mean_and_error(ranks / num_samples),
                # of num_samples + 1 ranks, as even as bins can hold them
                "rank_histogram": np.histogram((ranks + 0.5) / (num_samples + 1), BINS, (0, 1))[0].tolist(),
                **consistent}
    if judge:
        confidence, classes, _ = judge.look(draws.samples.reshape(-1, *images.shape[1:]))
        confidence, classes = (x.reshape(draws.draw.shape) for x in (confidence, classes))
        best_quarter = np.argsort(-draws.log_likelihood, axis=1)[:, : max(1, num_samples // 4)]
        share = softmax(weights, axis=1)
        correlations = [rank_correlation(*pair) for pair in zip(draws.log_likelihood, confidence)]
        measures |= {
            "classes": mean_and_error([len(set(row)) for row in classes]),
            "class_entropy": mean_and_error([entropy(np.bincount(row)) for row in classes]),
            "classifier_confidence_draws": mean_and_error(confidence.mean(axis=1)),
            "classifier_confidence_best_quarter": mean_and_error(
                np.take_along_axis(confidence, best_quarter, axis=1).mean(axis=1)),
            # What the first that is kept by importance has on average: it is each with its share of the weights.
            "classifier_confidence_importance": mean_and_error((share * confidence).sum(axis=1)),
            "likelihood_confidence_correlation": mean_and_error([c for c in correlations if c == c])}
    return measures


class Judge:
    """A classifier, and the features of real images to compare others with."""

    def __init__(self, classifier, config, reference):
        self._num_levels = config.num_levels
        self._network = keras.Model(classifier.inputs, [classifier.get_layer("features").output, *classifier.outputs])
        self._reference = self.look(reference)[2]

    def look(self, levels):
        """Confidence `(n,)`, class `(n,)` and features `(n, d)` of images."""
        features, logits = predict(self._network, scale(levels.astype(np.float32), self._num_levels), 256)
        classes, confidence = likeliest(logits)
        return confidence, classes, features

    def realism(self, levels):
        """Confidence and density of images, each `(n,)`, and whether they cover each real one."""
        confidence, _, features = self.look(levels)
        density, coverage = density_and_coverage(self._reference, features, NEIGHBOURS)
        return {"confidence": confidence, "density": density, "coverage": coverage}

    def __call__(self, levels):
        """Realism on average of images, each of its own origin."""
        return {name: mean_and_error(values) for name, values in self.realism(levels).items()}


def table(result):
    """The measures as lines of text: a row for each, a column for each mask."""
    columns = {"real": result["real"], **result["masks"]}
    names = dict.fromkeys(name for measures in columns.values() for name in measures if name != "rank_histogram")
    lines = [f"{'':36}" + "".join(f"{column:>19}" for column in columns)]
    for name in names:
        lines.append(f"{name:36}" + "".join(f"{_cell(measures.get(name)):>19}" for measures in columns.values()))
    histograms = [f"  {name}: {' '.join(map(str, measures['rank_histogram']))}"
                  for name, measures in result["masks"].items()]
    return "\n".join([*lines, "rank_histogram, true pixels among completions, least likely first:", *histograms])


def _cell(value):
    if value is None:
        return ""
    if not isinstance(value, dict):
        return f"{value:.3f}"
    mean, error = (float(f"{value[name]:.{digits}g}") for name, digits in (("mean", 4), ("error", 2)))
    return f"{mean:g} ± {error:g}"
