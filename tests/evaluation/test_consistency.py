import numpy as np
import pytest
from conftest import TINY, enlarge, every_completion

import pcnn_keras as pcnn
from pcnn_keras.evaluation.consistency import colour_correlation, consistency, effective_sample_size


def test_effective_sample_size():
    assert effective_sample_size(np.zeros(8)) == pytest.approx(8)
    assert effective_sample_size(np.array([0.0, -1000, -1000])) == pytest.approx(1)
    np.testing.assert_allclose(effective_sample_size(np.log([[1.0, 1, 2], [3, 3, 3]])), [16 / 6, 3])


def test_a_model_whose_conditionals_are_its_joints_is_consistent():
    """One that looks at no pixel is: every pixel by itself. Then the bounds meet at the likelihood."""
    model = pcnn.build_model(TINY)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape) if len(weight.shape) > 1 else np.linspace(-1, 1, weight.shape[0]))
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (2, 3, 4, 5, 1))[0], rng.integers(0, 2, (3, 4, 5, 1))
    truth = pcnn.log_likelihood(model, images, masks)
    joint = pcnn.log_likelihood(model, images, 0 * masks)
    measures, weights = consistency(model, pcnn.inpaint(model, images, masks, 8), truth, joint)
    assert np.ptp(weights, axis=1) == pytest.approx(0, abs=1e-4)
    assert measures["effective_sample_size"]["mean"] == pytest.approx(8, rel=1e-3)
    for bound in ("implied_nats_low", "implied_nats_high"):
        assert measures[bound]["mean"] == pytest.approx(-truth.mean(), abs=1e-4)
    for excess in ("implied_excess_low", "implied_excess_high"):
        assert measures[excess] == pytest.approx({"mean": 0, "error": 0}, abs=1e-4)


def test_the_bounds_hold_what_the_joint_implies():
    """log p(c) of a tiny image, by summing the joint over all completions."""
    model = enlarge(pcnn.build_model(TINY.replace(height=2, width=3)), 2.0)
    images = np.ones((1, 2, 3, 1), int)
    masks = np.array([[[1, 0, 0], [0, 0, 1]]])[..., None]
    completions = every_completion(model.config, images[0], masks[0])
    joint = pcnn.log_likelihood(model, completions, np.zeros((16, 2, 3, 1), int))
    implied = np.logaddexp.reduce(joint) - joint[-1]  # of all ones
    draws = pcnn.inpaint(model, images, masks, 20_000, batch_size=5000)
    truth = pcnn.log_likelihood(model, images, masks)
    measures, _ = consistency(model, draws, truth, joint[-1:])
    for bound in ("implied_nats_low", "implied_nats_high"):
        assert measures[bound]["mean"] == pytest.approx(implied, abs=0.05)
        assert measures[bound.replace("nats", "excess")]["mean"] == pytest.approx(
            measures[bound]["mean"] + truth.mean(), abs=1e-4)
    draws = pcnn.inpaint(model, np.repeat(images, 200, 0), np.repeat(masks, 200, 0), 4, seed=np.arange(200))
    few, _ = consistency(model, draws, np.repeat(truth, 200), np.repeat(joint[-1:], 200))
    assert few["implied_nats_low"]["mean"] < implied
    assert few["implied_nats_low"]["mean"] < few["implied_nats_high"]["mean"]


def test_colour_correlation():
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 8, (50, 1, 1, 3))
    masks = np.zeros((50, 4, 4, 1), int)
    masks[:, :2] = 1
    same = np.broadcast_to(colours, (50, 4, 4, 3))
    assert colour_correlation(same, masks)["mean"] == pytest.approx(1)
    halves = np.where(masks == 1, same, rng.permutation(same))
    assert abs(colour_correlation(halves, masks)["mean"]) < 0.4
    assert np.isnan(colour_correlation(same, 0 * masks)["mean"])
