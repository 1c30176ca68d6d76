import pytest

from lockstep.config.params import FeedbackReview
from lockstep.prediction_log import label_review
from lockstep.prediction_log.label_review import LabelReview
from lockstep.prediction_log.training_rows import TrainingRow

DAY_US = 86_400_000_000
LIMITS = FeedbackReview()


def rows(count, contradicting, author="key-1", day=0, answer="ham", other="spam"):
    """Labels of an author in a day, of which the first so many contradict the answer."""
    return [
        TrainingRow(
            f"{author} {day} {index}",
            at_us=0,
            version="1",
            row=[author, day, index],
            label=other if index < contradicting else answer,
            answer=answer,
            author=author,
            labelled_us=day * DAY_US + index,
        )
        for index in range(count)
    ]


def joining(rows, *reviews, rolled_back=(), limits=LIMITS):
    """Return how many of each author's labels join."""
    _, reasons = label_review.assess(rows, limits, reviews, rolled_back)
    totals = dict.fromkeys((row.author for row in rows), 0)
    for row, reason in zip(rows, reasons, strict=True):
        totals[row.author] += not reason
    return totals


@pytest.mark.parametrize(
    ("contradicting", "count", "joined"),
    [(30, 100, 100), (31, 100, 0), (600, 600, 0), (0, 600, 600), (19, 19, 19), (20, 20, 0)],
)
def test_labels_that_contradict_too_often_wait(contradicting, count, joined):
    assert joining(rows(count, contradicting)) == {"key-1": joined}


def test_an_author_waits_for_the_day_and_others_do_not():
    many = rows(300, 10) + rows(100, 100, day=1) + rows(50, 2, "key-2", day=1)
    assert joining(many) == {"key-1": 300, "key-2": 50}


def test_labels_of_many_small_authors_wait_together():
    sybils = [row for number in range(40) for row in rows(15, 15, f"key-{number}")]
    assert set(joining(sybils).values()) == {0}
    honest = rows(900, 20, "desk")
    assert joining(sybils[:150] + honest)["desk"] == 900


def test_a_person_accepts_or_rejects_what_an_author_gave_until_then():
    many = rows(100, 100) + rows(100, 100, day=9)
    assert joining(many, LabelReview("key-1", 5 * DAY_US, accepted=True)) == {"key-1": 100}
    assert joining(many, LabelReview("key-1", 10 * DAY_US, accepted=True)) == {"key-1": 200}
    assert joining(rows(100, 0), LabelReview("key-1", DAY_US, accepted=False)) == {"key-1": 0}
    both = LabelReview("key-1", DAY_US, accepted=False), LabelReview("key-1", 2 * DAY_US, accepted=True)
    assert joining(rows(100, 0), *both) == joining(rows(100, 0), *reversed(both)) == {"key-1": 100}


def test_an_author_has_so_many_labels_a_day():
    limits = FeedbackReview(per_author_day=40)
    assert joining(rows(100, 0) + rows(30, 0, day=1), limits=limits) == {"key-1": 70}
    assert joining(rows(100, 0), LabelReview("key-1", DAY_US, accepted=True), limits=limits) == {"key-1": 100}


def test_what_made_a_version_that_was_rolled_back_waits():
    many = rows(50, 0, day=1) + rows(50, 0, day=3) + rows(50, 0, day=5)
    batches, _ = label_review.assess(many, LIMITS, (), [(2 * DAY_US, 4 * DAY_US)])
    assert [(batch.day, batch.state) for batch in batches] == [
        ("1970-01-06", "joins"),
        ("1970-01-04", "waits"),
        ("1970-01-02", "joins"),
    ]
    assert "rollback" in batches[1].reason


def test_a_batch_says_how_many_labels_contradict_and_are_on_equal_rows():
    same = rows(30, 30)
    for row in same[:12]:
        row.row = ["the same"]
    ((batch,), _) = label_review.assess(same, LIMITS)
    assert (batch.author, batch.day, batch.labels, batch.contradicting, batch.equal_rows) == (
        *("key-1", "1970-01-01"),
        *(30, 30, 12),
    )
    assert "100% of the labels of key-1 on 1970-01-01 contradict the answers, at most 30%" in batch.reason


@pytest.mark.parametrize(("label", "answer", "joined"), [(1, 1, 40), (1, 0, 0), (True, "true", 40), (2.5, 1.5, 40)])
def test_labels_are_compared_by_name_and_numbers_are_left_to_the_gate(label, answer, joined):
    assert joining(rows(40, 40, answer=answer, other=label)) == {"key-1": joined}
