"""Completions by importance: the joint's own conditional, exactly, and not without the weights."""

import numpy as np
import pytest
from conftest import TINY, enlarge, every_completion
from scipy.stats import chisquare

import pcnn_keras as pcnn
from pcnn_keras.inference import importance
from pcnn_keras.inference.importance import log_weights, resample
from pcnn_keras.inference.noise import gumbel


@pytest.mark.parametrize("channels, changes, larger", [
    (3, {"merge": "blocks"}, 1.2),
    *(pytest.param(*row, 1.2, marks=pytest.mark.full)
      for row in ((1, {}), (3, {}), (1, {"merge": "blocks"}), (1, {"merge": "weighted"}))),
    pytest.param(1, {"merge": "blocks", "slices": 2}, 1.6, marks=pytest.mark.full)])
def test_draws_by_importance_follow_the_joints_own_conditional(channels, changes, larger):
    """The one of 64 candidates that is kept, 1,000 times, by chi-square; plain draws of the model do not pass."""
    model = enlarge(pcnn.build_model(TINY.replace(height=2, width=2, channels=channels, **changes)), larger, seed=3)
    image = np.ones((2, 2, channels), int)
    mask = np.array([[0, 0], [channels == 3, 1]], int)[..., None]
    if channels == 3:
        mask[0, 1] = 1  # three values are hidden
    completions = every_completion(model.config, image, mask)
    joint = np.exp(pcnn.log_likelihood(model, completions, np.zeros((len(completions), 2, 2, 1), int)), dtype=float)
    expected = joint / joint.sum()
    many, candidates = 1000, 64
    seeds = np.arange(many)
    images, masks = (np.repeat(x[None], many, axis=0) for x in (image, mask))
    draws = pcnn.inpaint(model, images, masks, candidates, seed=seeds, batch_size=8192)

    def counts(weights):
        kept = resample(draws, weights, seeds, 1).samples[:, 0]
        return np.array([(kept == each).all(axis=(1, 2, 3)).sum() for each in completions])

    weights = log_weights(model, draws)
    some = draws.samples[:3, 0]
    np.testing.assert_allclose(
        weights[:3, 0], pcnn.log_likelihood(model, some, 0 * some[..., :1]) - draws.log_likelihood[:3, 0], atol=1e-5)
    assert weights.std() > 0.1
    assert chisquare(counts(weights), expected * many).pvalue > 1e-3, weights.std()
    assert chisquare(counts(0 * weights), expected * many).pvalue < 1e-6


def test_what_is_kept_is_among_the_candidates_and_can_be_repeated(tiny):
    rng = np.random.default_rng(0)
    images, masks = rng.integers(0, 2, (2, 4, 5, 1)), rng.integers(0, 2, (2, 4, 5, 1))
    every = pcnn.inpaint(tiny, images, masks, 12, seed=[3, 4])
    kept = pcnn.inpaint(tiny, images, masks, 5, seed=[3, 4], candidates=12)
    assert kept.samples.shape == (2, 5, 4, 5, 1) and (np.diff(kept.draw, axis=1) > 0).all()
    for i in range(2):
        np.testing.assert_array_equal(kept.samples[i], every.samples[i, kept.draw[i]])
        np.testing.assert_allclose(kept.log_likelihood[i], every.log_likelihood[i, kept.draw[i]], atol=1e-5)
    again = pcnn.inpaint(tiny, images[1], masks[1], 5, seed=4, candidates=12, batch_size=5)
    np.testing.assert_array_equal(again.draw, kept.draw[1])
    all_of_them = pcnn.inpaint(tiny, images, masks, 12, seed=[3, 4], candidates=12)
    np.testing.assert_array_equal(all_of_them.samples, every.samples)


@pytest.mark.parametrize("candidates", [3, 0, 2.5, True, 10**6])
def test_candidates_are_at_least_the_samples(tiny, candidates):
    with pytest.raises(pcnn.InputError, match="candidates"):
        pcnn.inpaint(tiny, np.zeros((4, 5, 1), int), np.zeros((4, 5, 1), int), 4, candidates=candidates)


def test_candidates_go_with_temperature_1_alone(tiny):
    with pytest.raises(pcnn.InputError, match="temperature 0.5"):
        pcnn.inpaint(tiny, np.zeros((4, 5, 1), int), np.zeros((4, 5, 1), int), 4, 0.5, candidates=8)


def test_what_chooses_is_the_noise_of_no_pixel(tiny, monkeypatch):
    at = []
    monkeypatch.setattr(importance, "gumbel", lambda *given: (at.append(int(given[2][0])), gumbel(*given))[1])
    pcnn.inpaint(tiny, np.zeros((4, 5), int), "none", 2, candidates=4)
    assert at[0] > 256 * 4 * 5  # whatever the number of levels
