import itertools

import numpy as np
import pytest

from pcnn_keras.evaluation import metrics


def test_means_and_ratios_have_their_standard_errors():
    rng = np.random.default_rng(0)
    runs = rng.normal(3, 2, (2000, 50))
    found = [metrics.mean_and_error(run) for run in runs]
    assert np.std([f["mean"] for f in found]) == pytest.approx(np.mean([f["error"] for f in found]), rel=0.05)
    sizes = rng.integers(1, 20, (2000, 50))
    sums = sizes * 0.3 + rng.normal(size=sizes.shape)
    found = [metrics.ratio_and_error(*pair) for pair in zip(sums, sizes)]
    assert np.mean([f["mean"] for f in found]) == pytest.approx(0.3, abs=0.01)
    assert np.std([f["mean"] for f in found]) == pytest.approx(np.mean([f["error"] for f in found]), rel=0.1)
    assert np.isnan(metrics.mean_and_error([1.0])["error"]) and np.isnan(metrics.ratio_and_error([0], [0])["mean"])


def test_density_and_coverage_tell_real_from_fake():
    rng = np.random.default_rng(0)
    real, same, far = rng.normal(size=(400, 8)), rng.normal(size=(400, 8)), rng.normal(size=(400, 8)) + 9
    density, covered = metrics.density_and_coverage(real, same)
    assert density.mean() == pytest.approx(1, abs=0.15) and covered.mean() == pytest.approx(1 - 0.5**5, abs=0.05)
    density, covered = metrics.density_and_coverage(real, far)
    assert not density.any() and not covered.any()
    one_mode, _ = real[:1] + rng.normal(size=(400, 8)) * 0.01, None
    assert metrics.density_and_coverage(real, one_mode)[1].mean() < 0.2


def test_density_and_coverage_by_hand():
    """Real 0, 1, 3 and k = 1: balls [-1, 1], [0, 2], [1, 5]."""
    density, covered = metrics.density_and_coverage(np.array([[0.0], [1], [3]]), np.array([[0.5], [1.5], [9]]), k=1)
    assert density.tolist() == [2, 2, 0] and covered.tolist() == [True, True, True]


def test_hamming_distance():
    samples = np.random.default_rng(0).integers(0, 3, (6, 4, 5, 3))
    hidden = np.random.default_rng(1).random((4, 5)) < 0.5
    pairs = [np.mean(a[hidden] != b[hidden]) for a, b in itertools.combinations(samples, 2)]
    assert metrics.mean_hamming_distance(samples, hidden) == pytest.approx(np.mean(pairs))


def test_ranks():
    assert metrics.rank_correlation([1, 2, 3], [10, 20, 25]) == pytest.approx(1)
    assert np.isnan(metrics.rank_correlation([1, 2, 3], [5, 5, 5]))
    assert [metrics.rank_among(v, [1.0, 2.0, 3.0]) for v in (0, 1.5, 2, 9)] == [0, 1, 1.5, 3]
