"""Review of labels before they become training rows: batches by author and day, and how far they contradict answers.

A batch whose labels contradict the answers given more often than a limit waits until a person accepts it. Labels that
came between a rollback and the promotion of the version that it restored wait too, as they may have made the version
that was taken back.
"""

import collections
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from sqlalchemy import select

from lockstep.config.params import FeedbackReview
from lockstep.data.schema import label_name
from lockstep.prediction_log import training_rows
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.tables import LABEL_REVIEWS
from lockstep.prediction_log.training_rows import TrainingRow
from lockstep.registry.history import Event, rolled_back_spans

State = Literal["joins", "waits", "accepted", "rejected"]
LEAST_LABELS = 20  # A share of fewer labels is noise, and so few move no model.
EVERYONE = "(all)"


class LabelBatch(msgspec.Struct):
    """The labels of an author (or of all) in a day in UTC (or ever): how many, and how many contradict the answers.

    `equal_rows` counts labels on the most frequent row. `reason` says why the batch waits.
    """

    author: str
    day: str
    labels: int
    contradicting: int
    equal_rows: int
    state: State = "joins"
    reason: str = ""

    @property
    def share(self) -> float:
        """Return the share of labels that contradict the answer that was given."""
        return self.contradicting / self.labels


class LabelReview(msgspec.Struct):
    """The word of a person on the labels of an author up to a moment, in microseconds since 1970."""

    author: str
    until_us: int
    accepted: bool


def assess(
    rows: Sequence[TrainingRow],
    limits: FeedbackReview,
    reviews: Iterable[LabelReview] = (),
    rolled_back: Sequence[tuple[int, int]] = (),
) -> tuple[list[LabelBatch], list[str]]:
    """Return the batches, newest first, and for each row why it does not join, empty if it does.

    `rolled_back` are spans in microseconds since 1970 whose labels may have made a version that was rolled back.
    """
    latest = {review.author: review for review in sorted(reviews, key=lambda review: review.until_us)}
    members: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for index, row in enumerate(rows):
        members[row.author, _day(row.labelled_us)].append(index)
    batches, reasons = [], [""] * len(rows)
    for (author, day), indices in sorted(members.items(), key=lambda item: item[0][::-1], reverse=True):
        batch = _batch(author, day, [rows[index] for index in indices])
        batches.append(_judged(batch, [rows[index] for index in indices], limits, latest.get(author), rolled_back))
        for rank, index in enumerate(sorted(indices, key=lambda index: rows[index].labelled_us)):
            reasons[index] = _reason(batches[-1], rank, limits)
    _judge_together(rows, batches, reasons, limits)
    return batches, reasons


def assess_log(
    store: Store, model: str, limits: FeedbackReview, events: Iterable[Event]
) -> tuple[list[TrainingRow], list[LabelBatch], list[str]]:
    """Return the labelled rows (n) of a model's log, their batches, and why a row does not join (n).

    `events` are the moves of Production, newest first. Raises StoreError: the database is out of reach.
    """
    rows = list(training_rows.read(store, model))
    batches, reasons = assess(rows, limits, reviews(store, model), rolled_back_spans(events))
    return rows, batches, reasons


def reviews(store: Store, model: str) -> list[LabelReview]:
    """Return the reviews of a model's labels, oldest first.

    Raises StoreError: the database is out of reach.
    """
    columns = (LABEL_REVIEWS.c.author, LABEL_REVIEWS.c.at_us, LABEL_REVIEWS.c.accepted)
    wanted = select(*columns).where(LABEL_REVIEWS.c.model == model).order_by(LABEL_REVIEWS.c.at_us)
    return [LabelReview(*row) for row in store.rows(wanted)]


def record(store: Store, model: str, author: str, accepted: bool, actor: str, reason: str) -> None:
    """Write down that a person accepts or rejects the labels that an author has given until now.

    Raises StoreError: the database is out of reach.
    """
    now = {"at_us": time.time_ns() // 1000, "model": model, "author": author}
    with store.writing() as link:
        link.execute(LABEL_REVIEWS.insert(), now | {"accepted": accepted, "actor": actor, "reason": reason})


def _batch(author: str, day: str, rows: Sequence[TrainingRow]) -> LabelBatch:
    contradicting = sum(_contradicts(row) for row in rows)
    equal = collections.Counter(msgspec.json.encode(row.row) for row in rows)
    return LabelBatch(author, day, len(rows), contradicting, max(equal.values()))


def _contradicts(row: TrainingRow) -> bool:
    """Return whether a label differs from the answer given; a number is never equal, and is left to the gate."""
    return not isinstance(row.answer, float) and label_name(row.label) != label_name(row.answer)


def _judged(
    batch: LabelBatch,
    rows: Sequence[TrainingRow],
    limits: FeedbackReview,
    review: LabelReview | None,
    rolled_back: Sequence[tuple[int, int]],
) -> LabelBatch:
    if review and all(row.labelled_us <= review.until_us for row in rows):
        batch.state = "accepted" if review.accepted else "rejected"
        batch.reason = "" if review.accepted else f"a person rejected the labels of {batch.author}"
    elif batch.labels >= LEAST_LABELS and batch.share > limits.contradiction:
        batch.state = "waits"
        batch.reason = (
            f"{batch.share:.0%} of the labels of {batch.author} on {batch.day} contradict the answers, "
            f"at most {limits.contradiction:.0%} join without a review"
        )
    elif any(first < row.labelled_us <= last for first, last in rolled_back for row in rows):
        batch.state, batch.reason = "waits", f"labels of {batch.day} came before a rollback, and may have caused it"
    return batch


def _reason(batch: LabelBatch, rank: int, limits: FeedbackReview) -> str:
    """Return why the label of a rank within its batch does not join."""
    if batch.reason or batch.state == "accepted":
        return batch.reason
    over = rank >= limits.per_author_day
    return f"more than {limits.per_author_day} labels of {batch.author} in a day" if over else ""


def _judge_together(
    rows: Sequence[TrainingRow], batches: Iterable[LabelBatch], reasons: list[str], limits: FeedbackReview
) -> None:
    """Hold all labels without a review where together they contradict too much, as those of many small authors."""
    states = {(batch.author, batch.day): batch for batch in batches}
    joining = [
        index
        for index, row in enumerate(rows)
        if not reasons[index] and states[row.author, _day(row.labelled_us)].state == "joins"
    ]
    if len(joining) < LEAST_LABELS:
        return
    whole = _batch(EVERYONE, "", [rows[index] for index in joining])
    if whole.share <= limits.contradiction:
        return
    for index in joining:
        batch = states[rows[index].author, _day(rows[index].labelled_us)]
        batch.state = "waits"
        batch.reason = reasons[index] = (
            f"{whole.share:.0%} of all labels that no person has seen contradict the answers"
        )


def _day(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).date().isoformat()
