"""The gate: pure checks whether a candidate may go live, from evidence and rules to a decision with reasons."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from lockstep.config.params import Gate, ModelEvaluation, Task
from lockstep.data.schema import Schema
from lockstep.decision import Check, Decision
from lockstep.gate import champion as champions
from lockstep.gate.champion import PairedScores, same_clients
from lockstep.metrics import calibration, comparison, scores
from lockstep.metrics.scores import METRICS, Scored

DIGITS = 6
MOST_NAMED = 10


@dataclass(frozen=True)
class GateRules:
    """Rules of the gate: the metric of model selection, `model_evaluation`, and its section `gate`."""

    metric: str
    floors: Mapping[str, float] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    gate: Gate = field(default_factory=Gate)
    resamples: int = 1000
    seed: int = 42

    @classmethod
    def of(cls, metric: str, task: Task, params: ModelEvaluation) -> Self:
        """Read the rules from params.yaml. Raises ConfigError: a floor names what is no metric of the task."""
        for name in params.floors:
            scores.check_name(name, task, "model_evaluation.floors")
        return cls(metric, params.floors, params.trusted, params.gate, params.resamples, params.seed)


@dataclass(frozen=True)
class HoldoutEvidence:
    """What only the evaluation can measure.

    The test rows with the predictions of the candidate and of the best constant; how many of `asked` rows get another
    answer when sent as JSON; how many test rows the schema refuses; and the leaky columns with their scores.
    """

    scored: Scored
    constant: Scored
    differing: int
    asked: int
    refused: int
    leaks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Serving cost: the median time for one row in milliseconds, and the size of the bundle in MB (10^6)."""

    latency_ms: float
    size_mb: float


@dataclass(frozen=True)
class CandidateEvidence:
    """The version that is to go live: its schema, and the evidence for it.

    `recorded` holds the checks of its evaluation where `examined` is no longer at hand. `rolled_back` says who took it
    out of Production and why, and is empty if nobody did.
    """

    schema: Schema
    examined: HoldoutEvidence | None = None
    recorded: tuple[Check, ...] = ()
    cost: Cost | None = None
    rolled_back: str = ""


@dataclass(frozen=True)
class ChampionEvidence:
    """The version in Production; `paired` is None where the two do not take the same rows."""

    version: str
    schema: Schema
    paired: PairedScores | None = None


def decide(candidate: CandidateEvidence, champion: ChampionEvidence | None, rules: GateRules) -> Decision:
    """Run every check that the evidence allows; the champion is compared only if its clients can use the candidate."""
    decision = Decision((*candidate.recorded, *(check for ask in CHECKS for check in ask(candidate, rules))))
    if champion is None:
        return decision
    decision = replace(decision, against=champion.version).also(same_clients(candidate.schema, champion.schema))
    if champion.paired is None:
        return decision
    compared = champion.paired.on_fair_rows()
    measured = comparison.difference(compared.candidate, compared.champion, rules.metric, rules.resamples, rules.seed)
    result = champions.against_champion(measured, rules.gate.require, champions.fairness(champion.paired, compared))
    by_origin = champions.origins_hold(compared, rules.metric, rules.resamples, rules.seed)
    checks = (*decision.checks, result, *by_origin, *champions.slices_hold(compared, rules.gate))
    return Decision(
        checks, measured.verdict, champion.version, champions.compared_with(candidate.schema, champion.paired, measured)
    )


def _returned(candidate: CandidateEvidence, rules: GateRules) -> Iterator[Check]:
    """Check that no person took it out of Production."""
    if candidate.rolled_back:
        yield Check("not rolled back", False, candidate.rolled_back)


def _examined(candidate: CandidateEvidence, rules: GateRules) -> Iterator[Check]:
    """Run the checks that need neither a champion nor a clock."""
    facts = candidate.examined
    if facts is None:
        return
    yield from floors({name: round(scores.measure(name, facts.scored), DIGITS) for name in rules.floors}, rules.floors)
    yield better_than_constant(facts.scored, facts.constant, rules.metric)
    yield no_skew(facts.differing, facts.asked)
    yield rows_accepted(facts.refused, facts.scored.rows)
    yield no_leak(facts.leaks, rules.trusted)
    yield from calibrated(facts.scored, rules)


def _within_budget(candidate: CandidateEvidence, rules: GateRules) -> Iterator[Check]:
    """Check the serving cost against the budgets."""
    if candidate.cost:
        yield budget("latency", candidate.cost.latency_ms, rules.gate.latency_ms, "ms for one row")
        yield budget("size", candidate.cost.size_mb, rules.gate.size_mb, "MB")


# Checks of the candidate itself; those against the champion stand in `decide`.
CHECKS: tuple[Callable[[CandidateEvidence, GateRules], Iterable[Check]], ...] = (_returned, _examined, _within_budget)


def floors(measured: Mapping[str, float], required: Mapping[str, float]) -> Iterator[Check]:
    """Check each metric against its floor; where less is better, the floor is a ceiling."""
    for name, bound in required.items():
        value, higher = measured[name], METRICS[name].higher_is_better
        passed = value >= bound if higher else value <= bound
        word = "at least" if higher else "at most"
        yield Check(f"floor of {name}", passed, f"{name} is {value:.4g}, must be {word} {bound:.4g}")


def better_than_constant(scored: Scored, constant: Scored, name: str) -> Check:
    """Check that the candidate beats the best constant answer, so that no empty model passes a low floor."""
    value, baseline = scores.measure(name, scored), scores.measure(name, constant)
    passed = value > baseline if METRICS[name].higher_is_better else value < baseline
    return Check(
        "better than a constant", passed, f"{name} is {value:.4g}, the best constant answer gives {baseline:.4g}"
    )


def no_skew(differing: int, rows: int) -> Check:
    """Check that rows sent as JSON get the answers they got as a table."""
    return Check("no skew", differing == 0, f"{differing} of {rows} rows are answered differently when sent as JSON")


def rows_accepted(refused: int, rows: int) -> Check:
    """Check that the schema takes the test rows; up to one in a hundred may hold what training never showed."""
    return Check("rows accepted", refused * 100 <= rows, f"{refused} of {rows} test rows do not fit the schema")


def no_leak(leaks: Mapping[str, float], trusted: Iterable[str]) -> Check:
    """Check that no column leaks the target, but for those that a person trusts; see `metrics.leakage`."""
    leaking = {name: score for name, score in leaks.items() if name not in set(trusted)}
    if not leaking:
        return Check("no leak", True, "no column leaks the target")
    named = ", ".join(f"{name!r} ({score:.4g})" for name, score in list(leaking.items())[:MOST_NAMED])
    reason = (
        f"target leakage by {named}: leave it out under data_preprocessing.columns.ignore, "
        "or, if it is known when a prediction is requested, name it under model_evaluation.trusted"
    )
    return Check("no leak", False, reason)


def calibrated(scored: Scored, rules: GateRules) -> Iterator[Check]:
    """Check that probabilities are not off by more than allowed beyond noise; see `calibration.measure`."""
    most = rules.gate.calibration
    if most is None or not scored.classes:
        return
    measured = calibration.measure(scored, rules.resamples, rules.seed)
    reason = (
        f"probabilities are off by {measured.error:.4f} on average, of which {measured.noise:.4f} may be chance in "
        f"{scored.rows} rows; at most {most:.4g} more is allowed"
    )
    yield Check("calibration", measured.beyond_noise <= most, reason)


def budget(name: str, value: float, most: float | None, unit: str) -> Check:
    """Check a cost against its budget, if there is one."""
    text = f"{value:.3g} {unit}"
    if most is None:
        return Check(name, True, f"{text}; no budget is set")
    return Check(name, value <= most, f"{text}, may be at most {most:.4g}")
