"""The prediction log in its database: what the spool brings is added once, and found again by version and time."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, Engine, Executable, Select, Table, and_, func, not_, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from lockstep.config.settings import Settings
from lockstep.data.schema import label_name
from lockstep.prediction_log import engine
from lockstep.prediction_log import url as address
from lockstep.prediction_log.records import Answer, Label, Lost, Record, Scalar
from lockstep.prediction_log.tables import LABELS, LATENCIES, LOSSES, MINUTE, PREDICTIONS, TRAFFIC, bucket_of

# One at a time adds to PostgreSQL, so that `seq` grows in the order in which rows become visible.
ORDER_LOCK = 7_302_118
VALUE = "value"
NO_NUL = "\ufffd"  # PostgreSQL holds no text with a zero byte; JSON spells it out.
MINUTE_US = 60_000_000
PIECE = 500


class Added(msgspec.Struct):
    """How much of what was given was new."""

    predictions: int = 0
    labels: int = 0


class PredictionFilter(msgspec.Struct, omit_defaults=True):
    """Which predictions: all that is set must hold; `after` and `before` are marks by `seq`, which they exclude.

    With `after` the oldest come first, else the newest.
    """

    model: str = ""
    version: str = ""
    variant: str = ""
    since_us: int = 0
    until_us: int = 0
    after: int | None = None
    before: int | None = None
    labelled: bool = False
    limit: int = 100


class Stored(msgspec.Struct):
    """A prediction as the log holds it, with its latest label."""

    seq: int
    id: str
    at_us: int
    model: str
    version: str
    variant: str
    key: str
    latency_us: int
    row: list[Scalar] | None
    value: Scalar
    score: float | None
    shares: list[float] | None
    label: Scalar = None
    labelled: bool = False
    labelled_us: int | None = None
    label_value: float | None = None


class Store:
    """One database of predictions."""

    def __init__(self, connections: Engine) -> None:
        self.engine = connections
        self._insert: Any = postgresql.insert if connections.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect, and bring the tables to the state of this version.

        Raises StoreError: the database is out of reach, or was written by a newer version.
        """
        connections = engine.connect(url)
        try:
            engine.migrate(connections)
        except BaseException:
            connections.dispose()
            raise
        return cls(connections)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Open the database that the settings name."""
        return cls.open(address.database(settings))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def writing(self) -> AbstractContextManager[Connection]:
        """Return a connection in a transaction that writes."""
        return engine.writing(self.engine)

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a connection that reads."""
        return engine.reading(self.engine)

    def insert(self, table: Table) -> Any:
        """Return an INSERT of this database's dialect, which knows ON CONFLICT."""
        return self._insert(table)

    def add(self, records: Iterable[Record]) -> Added:
        """Add what is new, all of it or nothing; what is there already stays as it is.

        Raises StoreError: the database is out of reach, locked or full.
        """
        sorted_out: dict[type, list[Any]] = {Answer: [], Label: [], Lost: []}
        for record in records:
            sorted_out[type(record)].append(record)
        with self.writing() as link:
            if self.engine.dialect.name == "postgresql":
                link.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ORDER_LOCK})
            predictions = self._add_answers(link, sorted_out[Answer])
            labels = self._once(link, LABELS, LABELS.c.event, [_label(entry) for entry in sorted_out[Label]])
            self._once(link, LOSSES, LOSSES.c.event, [msgspec.structs.asdict(entry) for entry in sorted_out[Lost]])
            return Added(predictions, len(labels))

    def predictions(self, row_filter: PredictionFilter) -> list[Stored]:
        """Return predictions with their latest labels."""
        return [_stored(row) for row in self.rows(_select(row_filter))]

    def lost(self) -> int:
        """Return how many predictions could not be written down."""
        ((count,),) = self.rows(select(func.coalesce(func.sum(LOSSES.c.count), 0)))
        return int(count)

    def rows(self, wanted: Executable) -> Sequence[Any]:
        """Return all rows of a query."""
        with self.reading() as link:
            return link.execute(wanted).all()

    def _add_answers(self, link: Connection, answers: Sequence[Answer]) -> int:
        rows: dict[str, dict[str, Any]] = {}
        for answer in answers:
            for row in _rows(answer):
                rows.setdefault(row["id"], row)
        new = set(self._once(link, PREDICTIONS, PREDICTIONS.c.id, list(rows.values())))
        added = len(new)
        traffic: collections.Counter[tuple[Any, ...]] = collections.Counter()
        latencies: collections.Counter[tuple[Any, ...]] = collections.Counter()
        for answer in answers:
            here = (answer.model, answer.version, answer.variant, answer.at_us // MINUTE_US)
            fresh = {prediction_id: at for at, prediction_id in enumerate(answer.ids) if prediction_id in new}
            new.difference_update(fresh)
            traffic.update((*here, _named(answer, at)) for at in fresh.values())
            latencies.update([(*here, bucket_of(answer.latency_us))] if fresh else [])
        self._count(link, TRAFFIC, "label", traffic)
        self._count(link, LATENCIES, "bucket", latencies)
        return added

    def _once(self, link: Connection, table: Table, unique: Any, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """Insert rows whose unique column is new, and return that column of those that were."""
        if not rows:
            return []
        statement = self.insert(table).on_conflict_do_nothing(index_elements=[unique]).returning(unique)
        return list(link.execute(statement, list(rows)).scalars())

    def _count(self, link: Connection, table: Table, name: str, counts: "collections.Counter[Any]") -> None:
        """Add to the counts of a rollup; sorted, so that two servers never wait for each other in a circle."""
        keys = [*MINUTE, name]
        rows = [{**dict(zip(keys, key, strict=True)), "count": count} for key, count in sorted(counts.items())]
        for piece in pieces(rows):
            statement = self.insert(table).values(piece)
            more = {"count": table.c.count + statement.excluded.count}
            link.execute(statement.on_conflict_do_update(index_elements=keys, set_=more))


def pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield rows in pieces that one statement can name."""
    return (rows[start : start + PIECE] for start in range(0, len(rows), PIECE))


def _rows(answer: Answer) -> Iterator[dict[str, Any]]:
    """Return the rows of the table for one answered request."""
    for at, (prediction_id, value) in enumerate(zip(answer.ids, answer.values, strict=True)):
        shares = answer.shares[at] if answer.shares is not None else None
        yield {
            "id": prediction_id,
            "at_us": answer.at_us,
            "model": answer.model,
            "version": answer.version,
            "variant": answer.variant,
            "key": answer.key,
            "latency_us": answer.latency_us,
            "row": None if answer.rows is None else _json(answer.rows[at]),
            "value": _json(value),
            "score": _score(value, shares),
            "shares": None if shares is None else _json(shares),
        }


def _score(value: Scalar, shares: list[float] | None) -> float | None:
    """Return the share of the last of two labels, the largest of more, or the value of a regression."""
    if shares:
        return shares[-1] if len(shares) == 2 else max(shares)
    return float(value) if isinstance(value, int | float) else None


def _named(answer: Answer, at: int) -> str:
    """Return the name under which an answer counts."""
    value = answer.values[at]
    if answer.shares is None or value is None or isinstance(value, float):
        return VALUE
    return label_name(value).replace("\0", NO_NUL)


def _label(label: Label) -> dict[str, Any]:
    content = msgspec.structs.asdict(label)
    content["prediction_id"] = content.pop("prediction")
    content["label"] = _json(label.label)
    return content


def _json(content: Any) -> str:
    return msgspec.json.encode(content).decode()


def _joined(labelled: bool) -> Select[Any]:
    """Select predictions beside the latest of their labels; on demand only those that have one."""
    later = LABELS.alias("later")
    is_later = or_(later.c.at_us > LABELS.c.at_us, and_(later.c.at_us == LABELS.c.at_us, later.c.seq > LABELS.c.seq))
    beaten = select(later.c.seq).where(later.c.prediction_id == LABELS.c.prediction_id, is_later).exists()
    latest = and_(LABELS.c.prediction_id == PREDICTIONS.c.id, not_(beaten))
    worth = LABELS.c.value.label("label_value")
    wanted = select(PREDICTIONS, LABELS.c.label, LABELS.c.at_us.label("labelled_us"), worth)
    return wanted.select_from(PREDICTIONS.join(LABELS, latest, isouter=not labelled))


def _select(row_filter: PredictionFilter) -> Select[Any]:
    named = [
        PREDICTIONS.c[name] == value for name in ("model", "version", "variant") if (value := getattr(row_filter, name))
    ]
    wanted = _joined(row_filter.labelled).where(*named)
    if row_filter.since_us:
        wanted = wanted.where(PREDICTIONS.c.at_us >= row_filter.since_us)
    if row_filter.until_us:
        wanted = wanted.where(PREDICTIONS.c.at_us < row_filter.until_us)
    if row_filter.before is not None:
        wanted = wanted.where(PREDICTIONS.c.seq < row_filter.before)
    if row_filter.after is None:
        return wanted.order_by(PREDICTIONS.c.seq.desc()).limit(row_filter.limit)
    return wanted.where(PREDICTIONS.c.seq > row_filter.after).order_by(PREDICTIONS.c.seq).limit(row_filter.limit)


def _stored(row: Any) -> Stored:
    content = decoded(row, ("row", "value", "shares", "label"))
    return Stored(labelled=content["labelled_us"] is not None, **content)


def decoded(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return a row of a table as a mapping, with the columns of these names read from JSON."""
    content = dict(row._mapping)
    return content | {name: content[name] and msgspec.json.decode(content[name]) for name in names}
