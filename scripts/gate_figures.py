"""Write the tables of docs/measurements/gate.md: how often the gate calls an equal model better, and a better one.

    python -m scripts.gate_figures [--runs 200] [--print]

Models are simulated, so that their accuracy and their disagreement are known exactly. Seeds are fixed, so the figures
are reproducible.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from lockstep.config.params import Gate
from lockstep.data.schema import Schema
from lockstep.gate import checks
from lockstep.gate.checks import CandidateEvidence, ChampionEvidence, GateRules, PairedScores
from lockstep.metrics.scores import Scored
from lockstep.metrics.slices import Slice
from scripts.drift_figures import fill, table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measurements" / "gate.md"
SCHEMA = Schema("binary", "y", ("no", "yes"), ())
METRICS = ("accuracy", "roc_auc", "log_loss")
DISAGREEMENTS = (0.05, 0.10, 0.15, 0.20)
ACCURACY, BETTER, ROWS, RESAMPLES, SEED = 0.86, 0.88, 2000, 200, 7
HEAD = ("disagree", *(f"{name}: {what}" for name in METRICS for what in ("equal, better", "2 points, better")))
SLICED = (1, 8, 40, 200)


@dataclass(frozen=True)
class Pair:
    """Two simulated models: accuracy of each, and the share of rows with different predicted labels."""

    champion: float
    candidate: float
    disagree: float


def draw(pair: Pair, rows: int, random: np.random.Generator) -> tuple[Scored, Scored]:
    """Return predictions of champion and candidate for rows (n,), with calibrated probabilities.

    Truth and both scores are signs of a trivariate normal, in which signs agree with the chance ``1 - arccos(r) / pi``
    for a correlation r (Sheppard 1899): that gives the correlations that accuracy and disagreement need.
    """
    first, second = (math.cos(math.pi * (1 - accuracy)) for accuracy in (pair.champion, pair.candidate))
    both = math.cos(math.pi * pair.disagree)
    covariance = [[1, first, second], [first, 1, both], [second, both, 1]]
    truth, *scores = random.multivariate_normal([0, 0, 0], covariance, rows, method="eigh").T
    return _scored(truth, scores[0], first), _scored(truth, scores[1], second)


def _scored(truth: NDArray[np.float64], score: NDArray[np.float64], r: float) -> Scored:
    positive = ndtr(r * score / math.sqrt(1 - r * r))
    shares = np.column_stack([1 - positive, positive])
    return Scored((truth > 0).astype(np.int64), (positive > 0.5).astype(np.int64), shares)


def verdicts(pair: Pair, metric: str, rows: int, runs: int, resamples: int = RESAMPLES) -> Counter[str]:
    """Count the gate's verdicts over simulated pairs."""
    random = np.random.default_rng([SEED, round(1000 * pair.disagree), round(1000 * pair.candidate)])
    rules = GateRules(metric, resamples=resamples, seed=SEED)
    return Counter(_decided(draw(pair, rows, random), (), rules).verdict for _ in range(runs))


def refusals(pair: Pair, count: int, rows: int, runs: int) -> int:
    """Count the simulated pairs whose candidate is refused for one of `count` slices of equal size."""
    random = np.random.default_rng([SEED, count])
    rules = GateRules("accuracy", gate=Gate(slice_margin=0.0), resamples=100, seed=SEED)
    parts = tuple(Slice("part", str(place), np.arange(rows) % count == place) for place in range(count))
    decisions = (_decided(draw(pair, rows, random), parts, rules) for _ in range(runs))
    return sum(
        check.name == "slices not worse" and not check.passed for decision in decisions for check in decision.checks
    )


def _decided(drawn: tuple[Scored, Scored], parts: tuple[Slice, ...], rules: GateRules) -> checks.Decision:
    champion, candidate = drawn
    paired = PairedScores(candidate, champion, parts, np.ones(champion.rows, dtype=bool))
    return checks.decide(CandidateEvidence(SCHEMA), ChampionEvidence("1", SCHEMA, paired), rules)


def power(gain: float, disagree: float, rows: int) -> float:
    """Return the power to detect a gain of accuracy at the 2.5 % level, one-sided.

    The variance of the paired difference is ``(disagree - gain^2) / rows`` (Connor 1987, for McNemar's test).
    """
    return float(ndtr(gain / math.sqrt((disagree - gain**2) / rows) + ndtri(0.025)))


def compared(runs: int) -> Iterator[Sequence[str]]:
    """Yield a row for each disagreement: of equal models and of better ones, how many are called better."""
    for disagree in DISAGREEMENTS:
        row = [f"{disagree:.0%}"]
        for metric in METRICS:
            for candidate in (ACCURACY, BETTER):
                counts = verdicts(Pair(ACCURACY, candidate, disagree), metric, ROWS, runs)
                row.append(f"{counts['better']}/{runs}")
        yield row


def main(words: Sequence[str]) -> None:
    """Simulate, decide, count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="simulated pairs per figure (default: 200)")
    parser.add_argument("--print", action="store_true", help="write no page")
    arguments = parser.parse_args(words)
    formula = [(f"{disagree:.0%}", f"{power(0.02, disagree, ROWS):.0%}") for disagree in DISAGREEMENTS]
    equal = Pair(ACCURACY, ACCURACY, 0.15)
    sliced = [(str(count), f"{refusals(equal, count, 8000, arguments.runs)}/{arguments.runs}") for count in SLICED]
    tables = {
        "compared": table(HEAD, list(compared(arguments.runs))),
        "power": table(("disagree", "chance to see 2 points of accuracy in 2,000 rows"), formula),
        "sliced": table(("slices", "equal models refused"), sliced),
    }
    if arguments.print:
        print(*tables.values(), sep="\n")
    else:
        fill(PAGE, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
