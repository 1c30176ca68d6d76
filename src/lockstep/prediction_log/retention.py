"""Forget what is older than the prediction log keeps, in pieces, so that nobody waits for long."""

from collections.abc import Callable

from sqlalchemy import delete, select

from lockstep.prediction_log.database import MINUTE_US, Store
from lockstep.prediction_log.tables import LABELS, LATENCIES, LOSSES, PREDICTIONS, TRAFFIC, WINDOWS

PIECE = 5000
DAY_US = 86_400_000_000


def prune(store: Store, before_us: int, on_rows: Callable[[int], None] = lambda count: None) -> int:
    """Delete predictions that were answered before a time, with their labels and all counts; return how many.

    Raises StoreError: the database is out of reach; what was deleted until then stays so.
    """
    gone = 0
    while count := _piece(store, before_us):
        gone += count
        on_rows(gone)
    with store.writing() as link:
        logged = select(PREDICTIONS.c.seq).where(PREDICTIONS.c.id == LABELS.c.prediction_id).exists()
        link.execute(delete(LABELS).where(LABELS.c.at_us < before_us, ~logged))
        for table in (TRAFFIC, LATENCIES):
            link.execute(delete(table).where(table.c.minute < before_us // MINUTE_US))
        link.execute(delete(LOSSES).where(LOSSES.c.at_us < before_us))
        link.execute(delete(WINDOWS).where(WINDOWS.c.end_us < before_us))
    return gone


def _piece(store: Store, before_us: int) -> int:
    oldest = select(PREDICTIONS.c.seq, PREDICTIONS.c.id).where(PREDICTIONS.c.at_us < before_us)
    with store.writing() as link:
        rows = link.execute(oldest.order_by(PREDICTIONS.c.at_us).limit(PIECE)).all()
        link.execute(delete(LABELS).where(LABELS.c.prediction_id.in_([row.id for row in rows])))
        link.execute(delete(PREDICTIONS).where(PREDICTIONS.c.seq.in_([row.seq for row in rows])))
    return len(rows)
