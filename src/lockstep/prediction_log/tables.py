"""The tables of the prediction log; times are whole microseconds since 1970, JSON is stored as text.

Whatever changes here needs a migration in `migrations/versions`; a test holds both against each other.
"""

import math
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text, UniqueConstraint

METADATA = MetaData()
# SQLite counts up by itself only in a column that is called INTEGER, which holds 64 bits there anyway.
SERIAL = BigInteger().with_variant(Integer, "sqlite")
STEPS = 8  # Buckets of the latency for each doubling: a percentile read from them is off by 5 % at most.


def required(kind: type[Text | BigInteger], *names: str) -> "list[Column[Any]]":
    """Return columns of one type that are never empty."""
    return [Column(name, kind, nullable=False) for name in names]


def _serial() -> "Column[int]":
    return Column("seq", SERIAL, primary_key=True, autoincrement=True)


# Every answered row. `seq` grows in the order in which rows become visible, so it can be read up to a mark.
PREDICTIONS = Table(
    "predictions",
    METADATA,
    _serial(),
    Column("id", Text, nullable=False, unique=True),
    Column("at_us", BigInteger, nullable=False),
    *required(Text, "model", "version", "variant", "key"),
    Column("latency_us", BigInteger, nullable=False),
    Column("row", Text),
    Column("value", Text, nullable=False),
    Column("score", Float(53)),
    Column("shares", Text),
    Index("predictions_by_version", "model", "version", "variant", "seq"),
    Index("predictions_by_time", "at_us"),
    sqlite_autoincrement=True,
)

# What people said the truth was. All are kept; of several for one prediction the latest counts.
# `value` is what the outcome was worth, in the unit of whoever says so; `author` names the API key, if there was one.
LABELS = Table(
    "labels",
    METADATA,
    _serial(),
    Column("event", Text, nullable=False, unique=True),
    *required(Text, "prediction_id", "label"),
    Column("at_us", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("value", Float(53)),
    Column("author", Text),
    Index("labels_of_prediction", "prediction_id", "at_us"),
    sqlite_autoincrement=True,
)

# Decisions of persons on all labels of an author up to a moment: of several the latest counts.
LABEL_REVIEWS = Table(
    "label_reviews",
    METADATA,
    _serial(),
    Column("at_us", BigInteger, nullable=False),
    *required(Text, "model", "author", "actor", "reason"),
    Column("accepted", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
MINUTE = ("model", "version", "variant", "minute")

# Rows answered by minute (since 1970) and answer; `value` stands for every answer of a regression.
TRAFFIC = Table(
    "traffic",
    METADATA,
    *(Column(name, BigInteger if name == "minute" else Text, primary_key=True) for name in MINUTE),
    Column("label", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("traffic_by_minute", "minute"),
)

# Requests by minute and time to answer: a bucket is `bucket_of` the microseconds.
LATENCIES = Table(
    "latencies",
    METADATA,
    *(Column(name, BigInteger if name == "minute" else Text, primary_key=True) for name in MINUTE),
    Column("bucket", Integer, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("latencies_by_minute", "minute"),
)

# Predictions that were answered while there was no room to write them down.
LOSSES = Table("losses", METADATA, Column("event", Text, primary_key=True), *required(BigInteger, "at_us", "count"))
# What was measured over consecutive predictions; of two servers that measure the same, the first one's is kept.
WINDOWS = Table(
    "windows",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    *required(Text, "model", "version", "kind"),
    *required(BigInteger, "start_seq", "end_seq", "start_us", "end_us"),
    Column("result", Text, nullable=False),
    UniqueConstraint("model", "version", "kind", "start_seq", name="windows_once"),
    sqlite_autoincrement=True,
)

# `open_key` names what an alert is about while it is open, and is empty after: so there is one at a time.
ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    *required(Text, "kind", "model", "version", "subject", "severity", "detail"),
    Column("opened_us", BigInteger, nullable=False),
    Column("closed_us", BigInteger),
    Column("open_key", Text, unique=True),
    sqlite_autoincrement=True,
)

# The moves and refusals that were seen in the registry.
PROMOTIONS = Table(
    "promotions",
    METADATA,
    _serial(),
    *required(Text, "model", "at", "action", "version", "previous", "actor", "reason"),
    Column("forced", Boolean, nullable=False),
    Column("git_commit", Text, nullable=False),
    UniqueConstraint("model", "at", "action", "version", name="promotions_once"),
    sqlite_autoincrement=True,
)

# Runs of the loop; `active` holds a word while one waits or runs, and is empty after: so there is one at a time.
JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    *required(Text, "model", "state", "trigger", "reason"),
    Column("asked_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("beat_us", BigInteger),
    *required(Text, "owner", "outcome", "version"),
    Column("labelled_rows", BigInteger, nullable=False),
    Column("active", Text, unique=True),
    Index("jobs_by_time", "asked_us"),
)


def bucket_of(latency_us: int) -> int:
    """Return the bucket of a latency: eight for each doubling."""
    return round(STEPS * math.log2(max(1, latency_us)))


def latency_us_of(bucket: int) -> float:
    """Return the latency in the middle of a bucket, in microseconds."""
    return float(2.0 ** (bucket / STEPS))
