"""What the log knows of predictions that somebody has the truth about."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import select

from lockstep.prediction_log.database import Store, pieces
from lockstep.prediction_log.records import LabelState
from lockstep.prediction_log.tables import LABELS, PREDICTIONS


def label_states(store: Store, ids: Sequence[str]) -> dict[str, LabelState]:
    """Return what is known by id, nothing of unknown ids. Raises StoreError: the database is out of reach."""
    states: dict[str, LabelState] = {}
    for piece in pieces(ids):
        predictions = select(PREDICTIONS.c.id, PREDICTIONS.c.model, PREDICTIONS.c.version)
        labels = select(LABELS.c.prediction_id, LABELS.c.label, LABELS.c.value).order_by(LABELS.c.at_us, LABELS.c.seq)
        for prediction_id, model, version in store.rows(predictions.where(PREDICTIONS.c.id.in_(piece))):
            states[prediction_id] = LabelState(model, version)
        for prediction_id, label, value in store.rows(labels.where(LABELS.c.prediction_id.in_(piece))):
            if state := states.get(prediction_id):
                states[prediction_id] = LabelState(state.model, state.version, True, msgspec.json.decode(label), value)
    return states
