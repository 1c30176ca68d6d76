"""Labels as they come: gathered into windows of quality by version, and beside each other for a challenge.

Labels are read once, in the order in which they came; what waits for its window to fill is held in memory, and is read
again by the next process.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from lockstep.drift import sequential_test
from lockstep.drift.profile import Profile
from lockstep.drift.results import Challenge
from lockstep.drift.sequential_test import LABELS_A_LOOK
from lockstep.prediction_log import monitoring_queries
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.monitoring_queries import LabelledRow

PIECE = 5_000
DAY_S = 86_400.0  # A window of quality that is not full by then is closed, if it has enough labels to say something.
MOST_COMPARED = 100_000  # Labels of each side that a challenge holds; from then on, it is decided by those.
# Two workers write two files, so a label may come before its prediction: so many labels wait, for so many seconds.
MOST_EARLY, EARLY_S = 5_000, 3600.0
SHADOW_ID_BYTES = 16
Pending = dict[str, LabelledRow]


@dataclass
class Side:
    """The labelled answers of one version of a challenge, by prediction, in the order in which their labels came."""

    version: str
    variants: tuple[str, ...]
    answers: dict[str, tuple[object, object, int]] = field(default_factory=dict)

    def add(self, row: LabelledRow) -> None:
        """Take one label; a later one for the same prediction takes the place of the earlier."""
        earlier = self.answers.get(row.id)
        if earlier or len(self.answers) < MOST_COMPARED:
            self.answers[row.id] = (row.value, row.label, earlier[2] if earlier else row.seq)

    def labelled(self) -> sequential_test.LabelStream:
        """Return what was answered and what was true, as arrays."""
        values, truths, order = zip(*self.answers.values(), strict=True) if self.answers else ((), (), ())
        return sequential_test.LabelStream(self.version, values, truths, order)


@dataclass
class ChallengerComparison:
    """Production and challenger of one model; with share 0 both answer the same rows, else each its own."""

    production: Side
    challenger: Side
    share: int
    measured: int = 0

    @classmethod
    def between(cls, production: str, challenger: str, share: int) -> "ChallengerComparison":
        """Begin without labels."""
        return cls(Side(production, ("production",)), Side(challenger, ("challenger",)), share)

    def labels(self) -> int:
        """Return how many labels both have, or each has where both answered the same."""
        sides = len(self.production.answers), len(self.challenger.answers)
        return min(sides) if self.share == 0 else sum(sides)

    def measure(self, profile: Profile) -> Challenge | None:
        """Compare the two if there are enough new labels for the next look."""
        if self.labels() // LABELS_A_LOOK <= self.measured:
            return None
        self.measured = self.labels() // LABELS_A_LOOK
        sides = (self.production.labelled(), self.challenger.labelled())
        return sequential_test.measure(profile.task, *sides, profile.thresholds, self.share)


class Labels:
    """Reads labels from the log, each once."""

    def __init__(self, open: Callable[[], Store]) -> None:
        self.open = open
        self.seq = 0
        self.pending: dict[tuple[str, str], Pending] = {}
        self.duels: dict[str, ChallengerComparison] = {}
        self._ends: dict[tuple[str, str], int] = {}
        self._early: dict[int, float] = {}

    def piece(self) -> list[LabelledRow] | None:
        """Return the next labels, at most `PIECE`; None when all are read."""
        rows, early = monitoring_queries.labelled_after(self.open(), self.seq, PIECE)
        self.seq = max([self.seq, *early, *(row.seq for row in rows)])
        now = time.monotonic()
        self._early = dict([*self._early.items(), *((seq, now) for seq in early)][-MOST_EARLY:])
        return rows if rows or early else None

    def late(self) -> list[LabelledRow]:
        """Return the labels that came before their predictions, for those that are there by now."""
        rows = monitoring_queries.labelled_at(self.open(), list(self._early))
        gone = time.monotonic() - EARLY_S
        here = {row.seq for row in rows}
        self._early = {seq: since for seq, since in self._early.items() if since > gone and seq not in here}
        for row in rows:
            self._wait(row, late=True)
        return rows

    def challenge(self, model: str, production: str, challenger: str, share: int) -> ChallengerComparison:
        """Return the duel of two versions; another pair, or another way to share the traffic, begins anew."""
        duel = self.duels.get(model)
        named = (duel.production.version, duel.challenger.version, duel.share) if duel else None
        if duel is None or named != (production, challenger, share):
            duel = self.duels[model] = ChallengerComparison.between(production, challenger, share)
        return duel

    def take(self, rows: list[LabelledRow]) -> None:
        """Add labels to the duels, and those that no window covers yet to what waits for one."""
        shadows = self._shadows(rows)
        for row in rows:
            self._wait(row)
            duel = self.duels.get(row.model)
            if duel is None:
                continue
            for side in (duel.production, duel.challenger):
                if row.version == side.version and row.variant in side.variants:
                    self._oppose(duel, side, row, shadows)

    def full(self, key: tuple[str, str], size: int, least: int, at: float) -> list[LabelledRow] | None:
        """Return the labels of the next window of a version, if it is full, or old and large enough."""
        waiting = list(self.pending.get(key, {}).values())
        old = bool(waiting) and at - waiting[0].labelled_us / 1e6 > DAY_S
        if len(waiting) >= size or (old and len(waiting) >= least):
            return waiting[:size]
        return None

    def covered(self, key: tuple[str, str], window: list[LabelledRow]) -> None:
        """Let go of the labels of a window that was kept."""
        self._ends[key] = max(self._ends[key], *(row.seq for row in window))
        for row in window:
            self.pending[key].pop(row.id, None)

    def _wait(self, row: LabelledRow, late: bool = False) -> None:
        key = (row.model, row.version)
        if key not in self._ends:
            self._ends[key] = monitoring_queries.end_of(self.open(), *key, "quality")
        if late or row.seq > self._ends[key]:
            waiting = self.pending.setdefault(key, {})
            earlier = waiting.get(row.id)
            if earlier is None or row.labelled_us >= earlier.labelled_us:
                waiting[row.id] = row

    def _oppose(
        self, duel: ChallengerComparison, side: Side, row: LabelledRow, shadows: Mapping[str, LabelledRow]
    ) -> None:
        if duel.share:
            side.add(row)
        elif side is duel.production and row.id in shadows:
            duel.production.add(row)
            duel.challenger.add(_as_shadow(row, shadows[row.id]))
            self._wait(_as_shadow(row, shadows[row.id]))

    def _shadows(self, rows: list[LabelledRow]) -> dict[str, LabelledRow]:
        """Return what challengers in the shadow answered to the rows of these predictions, by the prediction's id."""
        wanted = {}
        for row in rows:
            duel = self.duels.get(row.model)
            if duel and duel.share == 0 and row.version == duel.production.version:
                wanted[shadow_id(row.id, duel.challenger.version)] = row
        answers = monitoring_queries.answers(self.open(), list(wanted))
        return {wanted[answer.id].id: answer for answer in answers}


def shadow_id(prediction: str, version: str) -> str:
    """Return the id under which a challenger's answer to a prediction's row is stored."""
    return hashlib.blake2b(f"{prediction}{version}".encode(), digest_size=SHADOW_ID_BYTES).hexdigest()


def _as_shadow(row: LabelledRow, answer: LabelledRow) -> LabelledRow:
    """Give the label of a prediction to what the challenger answered to the same row."""
    return msgspec.structs.replace(answer, seq=row.seq, label=row.label, labelled_us=row.labelled_us)
