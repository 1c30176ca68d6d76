"""May a candidate go live? Pure functions: facts in, a decision with reasons out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lockstep.data.schema import Schema
from lockstep.modeling import metrics
from lockstep.modeling.metrics import METRICS, Scored


@dataclass(frozen=True)
class Check:
    """One question to a candidate, and the answer in words."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Decision:
    """All answers; a candidate passes if every one is yes."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Return whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def refusals(self) -> list[str]:
        """Return the reasons of the checks that did not pass."""
        return [check.reason for check in self.checks if not check.passed]

    def also(self, check: Check) -> "Decision":
        """Return the decision with one more answer."""
        return Decision((*self.checks, check))

    def to_json(self) -> dict[str, Any]:
        """Return the decision for gate.json."""
        return {"passed": self.passed, "checks": [vars(check) for check in self.checks]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Decision":
        """Read what `to_json` wrote."""
        return cls(tuple(Check(**check) for check in content["checks"]))


def floors(measured: Mapping[str, float], required: Mapping[str, float]) -> Iterable[Check]:
    """Check each metric against its floor; where less is better, the floor is a ceiling."""
    for name, bound in required.items():
        value, higher = measured[name], METRICS[name].higher_is_better
        passed = value >= bound if higher else value <= bound
        word = "at least" if higher else "at most"
        yield Check(f"floor of {name}", passed, f"{name} is {value:.4g}, must be {word} {bound:.4g}")


def better_than_constant(scored: Scored, constant: Scored, name: str) -> Check:
    """Check that the candidate beats the best constant answer, so that no empty model passes a low floor."""
    own, other = metrics.measure(name, scored), metrics.measure(name, constant)
    passed = own > other if METRICS[name].higher_is_better else own < other
    return Check("better than a constant", passed, f"{name} is {own:.4g}, the best constant answer gives {other:.4g}")


def no_skew(differing: int, rows: int) -> Check:
    """Check that rows sent as JSON get the answers they got as a table."""
    return Check("no skew", differing == 0, f"{differing} of {rows} rows are answered differently when sent as JSON")


def rows_accepted(refused: int, rows: int) -> Check:
    """Check that the schema takes the test rows; up to one in a hundred may hold what training never showed."""
    return Check("rows accepted", refused * 100 <= rows, f"{refused} of {rows} test rows do not fit the schema")


def no_leak(alone: Mapping[str, float], trusted: Iterable[str]) -> Check:
    """Check that no column tells the target all alone, unless a person has said that it may."""
    leaking = {name: score for name, score in alone.items() if name not in set(trusted)}
    if not leaking:
        return Check("no leak", True, "no column tells the target all alone")
    named = ", ".join(f"{name!r} ({score:.4g})" for name, score in list(leaking.items())[:10])
    reason = (
        f"the target can be told from one column alone: {named}; leave it out under data_preprocessing.columns.ignore, "
        "or name it under model_evaluation.trusted"
    )
    return Check("no leak", False, reason)


def not_worse(candidate: Scored, champion: Scored, name: str, count: int, seed: int) -> Check:
    """Check that the candidate is not worse than the champion on the same rows beyond noise.

    Worse beyond noise: the 95 % paired bootstrap interval of the difference lies below zero.
    """
    value, low, high = metrics.difference(candidate, champion, name, count, seed)
    reason = (
        f"{name} is {value:+.4g} against the champion on the same {candidate.rows} rows, "
        f"95 % between {low:+.4g} and {high:+.4g}"
    )
    return Check("not worse than the champion", high >= 0, reason)


def same_clients(candidate: Schema, champion: Schema) -> Check:
    """Check that whoever asks the champion can ask the candidate: the same columns, task and labels."""
    problems = []
    if (candidate.task, candidate.labels) != (champion.task, champion.labels):
        problems.append(
            f"it answers {candidate.task} {list(candidate.labels)}, not {champion.task} {list(champion.labels)}"
        )
    old, new = champion.kinds, candidate.kinds
    problems += [f"column {name!r} is new" for name in new.keys() - old.keys()]
    problems += [f"column {name!r} is gone" for name in old.keys() - new.keys()]
    problems += [f"column {n!r} is {new[n]}, was {old[n]}" for n in new.keys() & old.keys() if new[n] != old[n]]
    return Check(
        "clients of the champion",
        not problems,
        "; ".join(sorted(problems)) or "takes and answers what the champion does",
    )
