"""Expected calibration error of probabilities, and the part of it that noise explains."""

from dataclasses import dataclass

import numpy as np

from lockstep.metrics.scores import Floats, Scored

BINS = 10
NOISE = 0.975


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are off on average, and how far they may seem so by chance; both are shares, 0 to 1."""

    error: float
    noise: float

    @property
    def beyond_noise(self) -> float:
        """Return what of the error chance does not explain."""
        return max(0.0, self.error - self.noise)


def measure(scored: Scored, count: int, seed: int) -> Calibration:
    """Return the expected calibration error of classes, and its 97.5 % quantile over `count` calibrated samples.

    The error is the mean over bins of equally many rows of ``|share of hits - mean probability|``, weighed by rows
    (Naeini et al. 2015, Guo et al. 2017). Hits are rows of the second of two labels, or of the likeliest of many.
    A model without fault shows an error too, as its hits are drawn: the quantile is that of errors of hits that were
    drawn by the probabilities (consistency resampling, Broecker and Smith 2007), binomial within each bin.
    """
    claimed, hits = _claims(scored)
    edges = np.unique(np.quantile(claimed, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    bins = np.searchsorted(edges, claimed, side="left")
    rows = np.bincount(bins)
    filled = rows > 0
    expected = np.bincount(bins, claimed)[filled] / rows[filled]
    observed = np.bincount(bins, hits)[filled] / rows[filled]
    weights = rows[filled] / len(claimed)
    random = np.random.default_rng(seed)
    drawn = random.binomial(rows[filled], np.clip(expected, 0, 1), (count, len(expected))) / rows[filled]
    errors = np.abs(drawn - expected) @ weights
    return Calibration(float(np.abs(observed - expected) @ weights), float(np.quantile(errors, NOISE)))


def _claims(scored: Scored) -> tuple[Floats, Floats]:
    """Return the probability (n,) of what each row claims, and whether it came true."""
    assert scored.probabilities is not None  # noqa: S101 - classes only
    if scored.classes == 2:
        return scored.probabilities[:, 1], (scored.truth == 1).astype(np.float64)
    return scored.probabilities.max(axis=1), (scored.truth == scored.predicted).astype(np.float64)
