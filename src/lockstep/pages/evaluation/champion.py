"""The model beside the version that is Production, on the same test rows."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockstep.config.params import ModelEvaluation
from lockstep.data import cleaning
from lockstep.data.schema import Schema, label_name
from lockstep.errors import LockstepError
from lockstep.evaluation.error_analysis import losses
from lockstep.evaluation.residuals import short
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores
from lockstep.metrics.scores import METRICS, Scored
from lockstep.registry.model_registry import Registry

MOST_ROWS = 10
FEWER = 300


@dataclass(frozen=True)
class Candidate:
    """The model in models/ with its digest, the test rows (n), and the metric that it was chosen by."""

    predictor: Predictor
    digest: str
    test: pd.DataFrame
    metric: str


def beside(registry: Registry, own: Candidate, params: ModelEvaluation) -> dict[str, Any]:
    """Return how Production answers the test rows (n) beside this model, or a `note` that says why it is not known."""
    try:
        version = registry.production()
        if version is None:
            return {"note": "No version is Production yet, so there is no champion to be compared with."}
        if version.sha256 == own.digest:
            return {"note": f"This model is Production already, as version {version.version}."}
        with tempfile.TemporaryDirectory() as folder:
            champion = Predictor.load(registry.download(version, Path(folder, version.version)), version.sha256)
        if misfit := _misfit(champion.schema, own.predictor.schema, own.test):
            return {"note": f"Production is version {version.version}, but it cannot be asked: {misfit}."}
        scored = champion.score(cleaning.with_kinds(own.test, champion.schema.kinds))
    except LockstepError as error:
        return {"note": f"Production could not be asked: {error.problem}"}
    mine = own.predictor.score(own.test)
    return {"version": version.version, **compared(mine, scored, own.predictor.schema, own.metric, params)}


def _misfit(champion: Schema, own: Schema, test: pd.DataFrame) -> str:
    if (champion.task, champion.target, champion.labels) != (own.task, own.target, own.labels):
        return f"it answers {champion.task} {champion.target!r} with other labels"
    missing = [name for name in champion.kinds if name not in test.columns]
    return f"the test rows have no column {missing[0]!r}" if missing else ""


def compared(
    candidate: Scored, champion: Scored, schema: Schema, metric: str, params: ModelEvaluation
) -> dict[str, Any]:
    """Return each metric of both on the same rows (n), the paired difference, and on which rows they part.

    The metric that the model was chosen by is resampled as often as the gate does, the others less often.
    """
    fewer = params.model_copy(update={"resamples": min(FEWER, params.resamples)})
    order = sorted(scores.for_task(schema.task), key=lambda name: name != metric)
    return {
        "rows": candidate.rows,
        "metrics": [_metric(name, candidate, champion, params if name == metric else fewer) for name in order],
        **_parting(candidate, champion, schema),
    }


def _metric(name: str, candidate: Scored, champion: Scored, params: ModelEvaluation) -> dict[str, Any]:
    value, low, high = scores.difference(candidate, champion, name, params.resamples, params.seed)
    return {
        "name": name,
        "candidate": short(scores.measure(name, candidate)),
        "champion": short(scores.measure(name, champion)),
        "difference": short(value),
        "low": short(low),
        "high": short(high),
        "verdict": "better" if low > 0 else "worse" if high < 0 else "no difference beyond noise",
        "higher_is_better": METRICS[name].higher_is_better,
    }


def _parting(candidate: Scored, champion: Scored, schema: Schema) -> dict[str, Any]:
    """Count the rows that one answers better than the other, and name those on which they are furthest apart."""
    mine, theirs = losses(candidate), losses(champion)
    sides = {"candidate": mine < theirs, "champion": theirs < mine}
    apart = np.abs(mine - theirs)
    if candidate.probabilities is not None and champion.probabilities is not None:
        apart = np.abs(candidate.probabilities - champion.probabilities).max(axis=1)
    found: dict[str, Any] = {
        f"{name}_only": {
            "rows": int(better.sum()),
            "examples": [
                _told(candidate, champion, schema, place)
                for place in np.argsort(-apart, kind="stable").tolist()
                if better[place]
            ][:MOST_ROWS],
        }
        for name, better in sides.items()
    }
    return found | {"alike": int((mine == theirs).sum())}


def _told(candidate: Scored, champion: Scored, schema: Schema, place: int) -> Mapping[str, Any]:
    def name(value: Any) -> Any:
        return label_name(schema.labels[int(value)]) if schema.labels else short(value)

    told = {"truth": candidate.truth, "candidate": candidate.predicted, "champion": champion.predicted}
    return {"row": place} | {who: name(values[place]) for who, values in told.items()}
