"""Points of the ROC and precision-recall curves at many thresholds, for `dvc plots` and the evaluation report."""

import numpy as np
import pandas as pd

from lockstep.data.schema import Schema, label_name
from lockstep.metrics.scores import Scored

POINTS = 200
CURVE = ("recall", "false_positive_rate", "precision")


def curves(scored: Scored, schema: Schema) -> pd.DataFrame:
    """Return the curve points of each label (of two, the positive one); no rows for regression."""
    shown = [code for code in range(len(schema.labels)) if code == scored.positive or len(schema.labels) > 2]
    parts = [_curve(scored, code, label_name(schema.labels[code])) for code in shown]
    return pd.concat(parts) if parts else pd.DataFrame(columns=["label", *CURVE])


def _curve(scored: Scored, code: int, name: str) -> pd.DataFrame:
    """Return recall, false positive rate and precision of a label at up to 200 thresholds, strictest first."""
    positives, negatives = (np.cumsum(side[::-1]) for side in scored.by_threshold(code, np.ones(scored.rows)))
    chosen = np.unique(np.linspace(0, len(positives) - 1, min(POINTS, len(positives))).astype(int))
    hits, alarms = positives[chosen], negatives[chosen]
    shares = (hits / max(positives[-1], 1), alarms / max(negatives[-1], 1), hits / (hits + alarms))
    return pd.DataFrame(
        {"label": name, **{column: values.round(6) for column, values in zip(CURVE, shares, strict=True)}}
    )
