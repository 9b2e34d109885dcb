"""Figures of an evaluation: means with standard errors, density and coverage, diversity. NumPy and SciPy."""

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr
from sklearn.neighbors import NearestNeighbors


def mean_and_error(values):
    """`{"mean", "error"}`: of independent values, with the standard error of the mean (NaN from fewer than 2)."""
    values = np.asarray(values, np.float64)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return {"mean": float(values.mean()) if len(values) else np.nan, "error": float(error)}


def ratio_and_error(numerators, denominators):
    """A ratio of sums, with its standard error (delta method): nats a pixel from nats and pixels of images."""
    numerators, denominators = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    total = denominators.sum()
    if not total:
        return {"mean": np.nan, "error": np.nan}
    ratio = numerators.sum() / total
    residuals = numerators - ratio * denominators
    error = residuals.std(ddof=1) * np.sqrt(len(residuals)) / total if len(residuals) > 1 else np.nan
    return {"mean": float(ratio), "error": float(error)}


def density_and_coverage(real, fake, k=5):
    """How like real features are fake ones, and how much of the real ones they cover.

    Naeem et al. 2020, arXiv:2002.09797, equations 3 and 4. Around each real sample a ball reaches to
    its k-th nearest other real one.

    Args:
        real, fake: float `(n, d)` and `(m, d)`.
        k: of the nearest neighbours; less than n.

    Returns:
        Density of each fake, `(m,)`: real balls around it, over k; about 1 on average if it is real.
        Coverage of each real, bool `(n,)`: whether a fake lies in its ball.
    """
    radius = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]  # itself comes first
    density, covered = np.zeros(len(fake)), np.zeros(len(real), bool)
    for i, (centre, reach) in enumerate(zip(real, radius)):
        inside = np.linalg.norm(fake - centre, axis=1) <= reach
        density += inside
        covered[i] = inside.any()
    return density / k, covered


def mean_hamming_distance(samples, hidden):
    """Share of hidden values in which two completions differ, averaged over all pairs.

    Args:
        samples: levels `(k, height, width, channels)`, k at least 2.
        hidden: bool `(height, width)`, at least one True.
    """
    return float(pdist(samples[:, hidden].reshape(len(samples), -1), "hamming").mean())


def rank_correlation(a, b):
    """Spearman's; NaN where one of the two does not vary."""
    return float(spearmanr(a, b).statistic) if np.ptp(a) and np.ptp(b) else np.nan


def rank_among(value, others):
    """How many of `others` are below `value`, ties counted half: 0 … len(others)."""
    return float(rankdata(np.append(others, value))[-1] - 1)
