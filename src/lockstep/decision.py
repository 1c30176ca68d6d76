"""Decisions of the gate as records: in files, in tags of a version, in the history and on pages."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lockstep.errors import LockstepError

# Tags of a version: the last decision on it, its forced promotion, and the checks of its evaluation.
DECISION_TAG, FORCED_TAG, EVALUATED_TAG = "decision", "forced", "gate_checks"
LONGEST_TAG = 4_900  # So many characters every server takes in a tag.
REASON_LENGTHS = (1_000, 400, 200, 100, 40, 0)


@dataclass(frozen=True)
class Check:
    """One check of a candidate: its name, its result, and the reason in words."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Disagreement:
    """A test row that candidate and champion predict differently, and which of the two is nearer to the truth."""

    row: int
    truth: str | float
    candidate: str | float
    champion: str | float
    nearer: str


@dataclass(frozen=True)
class Comparison:
    """The paired comparison with the champion on the same rows; a positive difference is in the candidate's favour.

    `low` and `high` are the 95 % interval of `difference` in `metric`; `metrics` holds the values of both models by
    name of the metric, and `left_out` counts the test rows that only one of the two may have been trained on.
    """

    metric: str
    difference: float
    low: float
    high: float
    rows: int
    left_out: int = 0
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    candidate_nearer: int = 0
    champion_nearer: int = 0
    examples: tuple[Disagreement, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Comparison":
        """Read what `asdict` wrote."""
        pairs = {name: (float(item), float(other)) for name, (item, other) in content.get("metrics", {}).items()}
        examples = tuple(Disagreement(**example) for example in content.get("examples", ()))
        return cls(**{**content, "metrics": pairs, "examples": examples})


@dataclass(frozen=True)
class Decision:
    """The checks of the gate; a candidate passes if every one does.

    `verdict` is that of the comparison with the champion, whose version is `against`; both are empty without one.
    `comparison` is None where the two were not or could not be compared.
    """

    checks: tuple[Check, ...]
    verdict: str = ""
    against: str = ""
    comparison: Comparison | None = None

    @property
    def passed(self) -> bool:
        """Return whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def refusals(self) -> list[str]:
        """Return the reasons of the checks that did not pass."""
        return [check.reason for check in self.checks if not check.passed]

    def also(self, check: Check) -> "Decision":
        """Return the decision with one more check."""
        return replace(self, checks=(*self.checks, check))

    def to_json(self) -> dict[str, Any]:
        """Return the decision for gate.json."""
        champion: dict[str, Any] = {"verdict": self.verdict, "against": self.against} if self.against else {}
        if self.comparison:
            champion["comparison"] = asdict(self.comparison)
        return {"passed": self.passed, **champion, "checks": [asdict(check) for check in self.checks]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Decision":
        """Read what `to_json` wrote."""
        checks = tuple(
            Check(str(item["name"]), bool(item["passed"]), str(item["reason"])) for item in content["checks"]
        )
        comparison = Comparison.from_json(content["comparison"]) if content.get("comparison") else None
        return cls(checks, content.get("verdict", ""), content.get("against", ""), comparison)

    def within(self, longest: int = LONGEST_TAG) -> dict[str, Any]:
        """Return what `to_json` does with its reasons cut so that it is at most so long as compact JSON.

        Examples and reasons of what passed give way first; if even the names are too long, the last ones are left out.
        """
        for passed, failed in ((length, REASON_LENGTHS[0]) for length in REASON_LENGTHS):
            if _length(content := self._cut(passed, failed)) <= longest:
                return content
        for failed in REASON_LENGTHS[1:]:
            if _length(content := self._cut(0, failed)) <= longest:
                return content
        while content["checks"] and _length(content) > longest:
            content["checks"].pop()
        return content

    def _cut(self, passed: int, failed: int) -> dict[str, Any]:
        """Return the decision with reasons of at most so many characters."""
        short = (replace(item, reason=_short(item.reason, passed if item.passed else failed)) for item in self.checks)
        comparison = replace(self.comparison, examples=()) if self.comparison else None
        return replace(self, checks=tuple(short), comparison=comparison).to_json()


@dataclass(frozen=True)
class Forced:
    """How a version went live against the gate: when, by whom, why, and against which refusals."""

    at: str
    actor: str
    reason: str
    against: str = ""

    def to_tag(self) -> str:
        """Write it as a tag's value."""
        content = {"at": self.at, "actor": self.actor[:200], "reason": self.reason[:400], "against": self.against[:200]}
        return json.dumps(content, separators=(",", ":"))


@dataclass(frozen=True)
class GateRecord:
    """Record of the gate on a version: the last decision, and the forced promotion if there was one.

    Versions that were promoted before decisions were recorded have neither.
    """

    decision: Decision | None = None
    forced: Forced | None = None


def gate_record(tags: Mapping[str, str]) -> GateRecord:
    """Read the record of a version from its tags; what some other hand wrote there counts as nothing."""
    return GateRecord(from_tag(tags.get(DECISION_TAG, "")), _forced(tags.get(FORCED_TAG, "")))


def tag(record: Decision) -> str:
    """Write a decision as a tag's value."""
    return json.dumps(record.within(), separators=(",", ":"))


def from_tag(text: str) -> Decision | None:
    """Read a decision from a tag's value."""
    try:
        return read(json.loads(text))
    except ValueError:
        return None


def read(content: Any) -> Decision | None:
    """Read a decision from what should be its JSON; None if it is something else."""
    try:
        return Decision.from_json(content)
    except (TypeError, KeyError, AttributeError):
        return None


def _forced(text: str) -> Forced | None:
    try:
        content = json.loads(text)
        return Forced(**{name: str(content[name]) for name in ("at", "actor", "reason", "against")})
    except (ValueError, TypeError, KeyError):
        return None


def _length(content: Mapping[str, Any]) -> int:
    return len(json.dumps(content, separators=(",", ":")))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(0, most - 3)]}..." if most else ""


class GateRefused(LockstepError):
    """A candidate did not pass the gate; the reasons are in the message, and all answers in the decision."""

    def __init__(self, problem: str, hint: str = "", decision: Decision | None = None) -> None:
        super().__init__(problem, hint)
        self.decision = decision
