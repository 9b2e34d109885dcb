import json

import numpy as np
import pytest
from conftest import TINY, enlarge

import pcnn_keras as pcnn
from pcnn_keras.classifier import build_classifier, train_classifier
from pcnn_keras.data import load_labels, load_model_images
from pcnn_keras.evaluate import evaluate, likelihoods, mask_specs, table


@pytest.fixture(scope="module")
def digits():
    config = pcnn.Config.preset("digits")
    return config, load_model_images(config)


def test_labels_stand_in_the_order_of_the_images(digits):
    """Means of the classes of one split tell the classes of another: not so if any split were shuffled."""
    _, images = digits
    labels = load_labels("digits")
    assert [len(part) for part in labels] == [len(part) for part in images]
    means = np.stack([images.train[labels.train == c].mean(axis=0) for c in range(10)])
    for part, classes in ((images.validation, labels.validation), (images.test, labels.test)):
        guess = ((part[:, None] - means) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
        assert (guess == classes).mean() > 0.8
    assert load_labels("celeba") is None


def test_a_classifier_learns(digits):
    config, images = digits
    _, accuracy = train_classifier(config, images, load_labels("digits"))
    assert accuracy > 0.95


def test_likelihoods_of_the_parts(tiny):
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (7, 4, 5, 1)), rng.integers(0, 2, (7, 4, 5, 1))
    found = likelihoods(tiny, images, masks, batch_size=3)
    np.testing.assert_allclose(found["sum"], pcnn.log_likelihood(tiny, images, masks), rtol=1e-5)
    assert len({tuple(values) for values in found.values()}) == 3
    # A change of what is visible moves the conditional head, and the prior's logits at later pixels alone.
    other, seen = np.where(masks == 1, 1 - images, images), masks.copy()
    first_hidden = np.cumsum((masks == 0).reshape(7, -1), axis=1).reshape(masks.shape) == 0
    changed = likelihoods(tiny, np.where(first_hidden, images, other), seen)
    assert (changed["conditional_head"] != found["conditional_head"]).any()


@pytest.mark.parametrize("with_classifier", [True, False])
def test_every_figure_is_there_with_its_error(with_classifier, capsys):
    config = TINY.replace(height=8, width=8)
    model = enlarge(pcnn.build_model(config), 2.0)
    rng = np.random.default_rng(0)
    images, reference = rng.integers(0, 2, (2, 12, 8, 8, 1)).astype(np.int32)
    classifier = build_classifier(config, 10) if with_classifier else None
    shares = []
    result = evaluate(model, images, reference, classifier, num_samples=4, num_drawn=5, progress=shares.append)
    assert list(result["masks"]) == list(mask_specs(config)) and shares[-1] == 1
    realism = {"confidence", "density", "coverage"}
    assert set(result["real"]) == (realism if with_classifier else set())
    for spec, figures in result["masks"].items():
        expected = {"hidden_share", "hamming_distance", "rank_of_truth", "rank_histogram"}
        expected |= {f"{head}_{unit}" for head in ("sum", "conditional_head", "prior_alone")
                     for unit in ("nats_per_image", "nats_per_hidden_pixel", "bits_per_dimension")}
        if with_classifier:
            expected |= realism | {"classes", "class_entropy", "likelihood_confidence_correlation"}
        assert set(figures) == expected
        assert sum(figures["rank_histogram"]) == 5
        nats, bits = figures["sum_nats_per_hidden_pixel"], figures["sum_bits_per_dimension"]
        assert bits["mean"] == pytest.approx(nats["mean"] / np.log(2)) and nats["error"] > 0
        assert spec in table(result)
    again = evaluate(model, images, reference, classifier, num_samples=4, num_drawn=5)
    assert json.dumps(again) == json.dumps(result)
    json.loads(json.dumps(result))


def test_ranks_of_the_models_own_draws_are_uniform(tiny):
    """What the model draws is calibrated by definition: every rank is as likely as any other."""
    from pcnn_keras.metrics import rank_among

    mask = np.zeros((4, 5, 1), int)
    draws = pcnn.inpaint(tiny, mask, mask, 60 * 20, seed=1).log_likelihood.reshape(60, 20)
    ranks = [rank_among(row[0], row[1:]) / 19 for row in draws]
    assert np.mean(ranks) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 60))
