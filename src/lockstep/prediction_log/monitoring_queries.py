"""What the monitoring reads and keeps: counts from the rollups, windows, alerts, and the moves that were seen.

Nothing here looks at every prediction: rollups hold the counts, and indexes lead to the rows of one window.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select, text

from lockstep.drift.results import Alert, Challenge, DriftWindow, QualityWindow
from lockstep.prediction_log.database import MINUTE_US, PredictionFilter, Store, decoded, pieces
from lockstep.prediction_log.records import Scalar
from lockstep.prediction_log.tables import ALERTS, LABELS, LATENCIES, PREDICTIONS, PROMOTIONS, TRAFFIC, WINDOWS
from lockstep.registry.history import Event

WATCH_LOCK = 7_302_119  # One at a time evaluates windows in PostgreSQL.
SHADOW = "shadow"
MINUTE_S = 60
ANSWER = [PREDICTIONS.c[name] for name in ("id", "model", "version", "variant", "at_us", "value", "shares")]
Counted = Literal["predictions", "labels"]
Kind = Literal["drift", "quality", "challenge"]
Result = DriftWindow | QualityWindow | Challenge

R = TypeVar("R", DriftWindow, QualityWindow, Challenge)
KINDS: dict[type[Result], Kind] = {DriftWindow: "drift", QualityWindow: "quality", Challenge: "challenge"}


class MonitoringWindow(msgspec.Struct):
    """One measured window: its first and last mark, of predictions or labels, and its times in seconds since 1970."""

    model: str
    version: str
    kind: Kind
    start_seq: int
    end_seq: int
    start: float
    end: float
    result: Result


class LabelledRow(msgspec.Struct):
    """A label, and the prediction that it is about."""

    seq: int
    id: str
    model: str
    version: str
    variant: str
    at_us: int
    labelled_us: int
    value: Scalar
    shares: list[float] | None
    label: Scalar


@contextmanager
def leading(store: Store) -> Iterator[bool]:
    """Yield whether this process is the one that evaluates now; on SQLite all are, and unique keys keep one result."""
    if store.engine.dialect.name != "postgresql":
        yield True
        return
    with store.reading() as link:
        leads = bool(link.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": WATCH_LOCK}).scalar_one())
        try:
            yield leads
        finally:
            if leads:
                link.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": WATCH_LOCK})


def traffic(store: Store, model: str, since_s: float, bucket_s: int) -> dict[str, dict[int, int]]:
    """Return predictions answered by version and start of the bucket, in seconds since 1970."""
    minute = TRAFFIC.c.minute
    start = ((minute - minute % (bucket_s // MINUTE_S)) * MINUTE_S).label("start")
    counts = select(TRAFFIC.c.version, start, func.sum(TRAFFIC.c.count)).where(_since(TRAFFIC, model, since_s))
    return _counted(store, counts.group_by(TRAFFIC.c.version, start))


def mix(store: Store, model: str, since_s: float) -> dict[str, dict[str, int]]:
    """Return predictions by version and answer."""
    counts = select(TRAFFIC.c.version, TRAFFIC.c.label, func.sum(TRAFFIC.c.count))
    return _counted(store, counts.where(_since(TRAFFIC, model, since_s)).group_by(TRAFFIC.c.version, TRAFFIC.c.label))


def latencies(store: Store, model: str, since_s: float) -> dict[str, dict[int, int]]:
    """Return requests by version and bucket of the time to answer, as `tables.bucket_of` counts them."""
    counts = select(LATENCIES.c.version, LATENCIES.c.bucket, func.sum(LATENCIES.c.count))
    here = _since(LATENCIES, model, since_s)
    return _counted(store, counts.where(here).group_by(LATENCIES.c.version, LATENCIES.c.bucket))


def rows_after(store: Store, table: Counted, seq: int) -> tuple[int, int]:
    """Return how many rows came after a mark, and the newest mark."""
    seq_column = PREDICTIONS.c.seq if table == "predictions" else LABELS.c.seq
    ((count, newest),) = store.rows(select(func.count(), func.max(seq_column)).where(seq_column > seq))
    return int(count), int(newest or seq)


def labelled_after(store: Store, seq: int, limit: int) -> tuple[list[LabelledRow], list[int]]:
    """Return the labels after a mark in the order in which they came, and the marks of those without a prediction."""
    wanted = _labelled_rows().where(LABELS.c.seq > seq).order_by(LABELS.c.seq).limit(limit)
    rows = store.rows(wanted)
    return [_labelled(row) for row in rows if row.id], [row.seq for row in rows if not row.id]


def labelled_at(store: Store, marks: Sequence[int]) -> list[LabelledRow]:
    """Return the labels at these marks whose predictions are there by now."""
    wanted = (_labelled_rows().where(LABELS.c.seq.in_(piece)) for piece in pieces(marks))
    return [_labelled(row) for each in wanted for row in store.rows(each) if row.id]


def _labelled_rows() -> Select[Any]:
    wanted = select(LABELS.c.seq, LABELS.c.at_us.label("labelled_us"), LABELS.c.label, *ANSWER)
    return wanted.select_from(LABELS.outerjoin(PREDICTIONS, PREDICTIONS.c.id == LABELS.c.prediction_id))


def answers(store: Store, ids: Sequence[str]) -> list[LabelledRow]:
    """Return predictions by their ids, as if not labelled yet; those that are not there are left out."""
    wanted = select(PREDICTIONS.c.seq, *ANSWER, literal(None).label("label"), literal(0).label("labelled_us"))
    named = (wanted.where(PREDICTIONS.c.id.in_(piece)) for piece in pieces(ids))
    return [_labelled(row) for each in named for row in store.rows(each)]


def waiting(store: Store, row_filter: PredictionFilter) -> tuple[int, float]:
    """Return how many predictions are there, at most the limit, and when the first was answered, 0 if there is none."""
    columns = PREDICTIONS.c
    named = [columns[name] == getattr(row_filter, name) for name in ("model", "version", "variant")]
    logged = select(columns.at_us).where(*named, columns.seq > (row_filter.after or 0)).order_by(columns.seq)
    inner = logged.limit(row_filter.limit).subquery()
    ((count, first_us),) = store.rows(select(func.count(), func.min(inner.c.at_us)).select_from(inner))
    return int(count), float(first_us or 0) / 1e6


def end_of(store: Store, model: str, version: str, kind: Kind) -> int:
    """Return the last mark that the windows of a version cover, 0 before the first."""
    last = select(func.coalesce(func.max(WINDOWS.c.end_seq), 0)).where(*_windows_of(model, version, kind))
    ((end,),) = store.rows(last)
    return int(end)


def _windows_of(model: str, version: str, kind: Kind) -> list[ColumnElement[bool]]:
    return [WINDOWS.c.model == model, WINDOWS.c.version == version, WINDOWS.c.kind == kind]


def windows(store: Store, of: type[R], model: str, limit: int, version: str = "") -> list[R]:
    """Return the newest windows of one kind, of a model or of one version, newest first."""
    wanted = select(WINDOWS.c.result).where(WINDOWS.c.model == model, WINDOWS.c.kind == KINDS[of])
    if version:
        wanted = wanted.where(WINDOWS.c.version == version)
    rows = store.rows(wanted.order_by(WINDOWS.c.id.desc()).limit(limit))
    return [msgspec.json.decode(result, type=of) for (result,) in rows]


def keep_window(store: Store, window: MonitoringWindow) -> bool:
    """Keep a window; return False if another server has measured it already."""
    row = {name: getattr(window, name) for name in ("model", "version", "kind", "start_seq", "end_seq")}
    times = {"start_us": round(window.start * 1e6), "end_us": round(window.end * 1e6)}
    result = msgspec.json.encode(window.result).decode()
    unique = ["model", "version", "kind", "start_seq"]
    statement = (
        store.insert(WINDOWS).values(**row, **times, result=result).on_conflict_do_nothing(index_elements=unique)
    )
    with store.writing() as link:
        window_id = link.execute(statement.returning(WINDOWS.c.id)).scalar()
        if window_id and window.kind == "drift":
            _slim_before(link, window, window_id)
        return bool(window_id)


def _slim_before(link: Connection, window: MonitoringWindow, newest: int) -> None:
    """Leave of the window before only what alarmed, without its distributions, which nobody looks at any more."""
    before = select(WINDOWS.c.id, WINDOWS.c.result).where(*_windows_of(window.model, window.version, window.kind))
    row = link.execute(before.where(WINDOWS.c.id < newest).order_by(WINDOWS.c.id.desc()).limit(1)).first()
    if row:
        result = msgspec.json.encode(_slim(msgspec.json.decode(row.result, type=DriftWindow))).decode()
        link.execute(WINDOWS.update().where(WINDOWS.c.id == row.id).values(result=result))


def _slim(window: DriftWindow) -> DriftWindow:
    features = [
        msgspec.structs.replace(feature, baseline=None, window=None) for feature in window.features if feature.alarm
    ]
    score = msgspec.structs.replace(window.score, baseline=None, window=None) if window.score else None
    return msgspec.structs.replace(window, features=features, score=score)


def open_alerts(store: Store) -> list[Alert]:
    """Return the alerts that are open, oldest first."""
    wanted = select(ALERTS).where(ALERTS.c.open_key.is_not(None)).order_by(ALERTS.c.id)
    return [_alert(row) for row in store.rows(wanted)]


def alerts(store: Store, limit: int) -> list[Alert]:
    """Return the newest alerts, newest first."""
    return [_alert(row) for row in store.rows(select(ALERTS).order_by(ALERTS.c.id.desc()).limit(limit))]


def keep_alert(store: Store, alert: Alert) -> None:
    """Write an alert: a new one has the id 0; if another server has opened it already, its own stays."""
    row = {
        **{name: getattr(alert, name) for name in ("kind", "model", "version", "subject", "severity", "detail")},
        "opened_us": round(alert.opened * 1e6),
        "closed_us": None if alert.closed is None else round(alert.closed * 1e6),
        "open_key": f"{alert.kind}|{alert.model}|{alert.version}" if alert.closed is None else None,
    }
    with store.writing() as link:
        if alert.id:
            link.execute(ALERTS.update().where(ALERTS.c.id == alert.id).values(row))
        else:
            link.execute(store.insert(ALERTS).values(row).on_conflict_do_nothing(index_elements=["open_key"]))


def keep_moves(store: Store, model: str, events: Iterable[Event]) -> None:
    """Note moves and refusals that the registry told; what is noted already stays."""
    names = ("at", "action", "version", "previous", "actor", "reason", "forced", "git_commit")
    rows = [{"model": model, **{name: getattr(event, name) for name in names}} for event in events]
    if rows:
        unique = ["model", "at", "action", "version"]
        with store.writing() as link:
            link.execute(store.insert(PROMOTIONS).on_conflict_do_nothing(index_elements=unique), rows)


def moves(store: Store, model: str, limit: int) -> list[Event]:
    """Return the moves and refusals that were seen, newest first."""
    wanted = select(PROMOTIONS).where(PROMOTIONS.c.model == model).order_by(PROMOTIONS.c.at.desc()).limit(limit)
    rows = [dict(row._mapping) for row in store.rows(wanted)]
    return [Event(**{name: value for name, value in row.items() if name not in ("seq", "model")}) for row in rows]


def _since(table: Any, model: str, since_s: float) -> ColumnElement[bool]:
    """Select what one model answered since a time; what ran in the shadow answered nobody."""
    return and_(table.c.model == model, table.c.variant != SHADOW, table.c.minute >= int(since_s * 1e6) // MINUTE_US)


def _counted(store: Store, wanted: Any) -> dict[str, dict[Any, int]]:
    counts: dict[str, dict[Any, int]] = {}
    for version, key, count in store.rows(wanted):
        counts.setdefault(version, {})[key] = int(count)
    return counts


def _labelled(row: Any) -> LabelledRow:
    return LabelledRow(**decoded(row, ("value", "label", "shares")))


def _alert(row: Any) -> Alert:
    content = dict(row._mapping)
    opened, closed = content.pop("opened_us"), content.pop("closed_us")
    content.pop("open_key")
    return Alert(opened=opened / 1e6, closed=None if closed is None else closed / 1e6, **content)
