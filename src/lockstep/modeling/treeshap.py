"""Shapley values of trees, by the package shap: what each feature adds, summed by column.

The value of a set of features is the expected output where the others are averaged over the train rows that took each
branch (path-dependent TreeSHAP, Lundberg et al. 2018, algorithm 2).
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row, Schema
from lockstep.errors import MissingExtra, NotExplained
from lockstep.modeling.scorers import LINKS, Scorer

if TYPE_CHECKING:
    from lockstep.modeling.explain import Effects

Floats = NDArray[np.float64]
TOLERANCE = 1e-5
"""Most that base and contributions may miss an answer by, in probability or in relation to a value; some trees add up
in 32 bits."""

SHARES = ("DecisionTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier")
VALUES = (
    *("DecisionTreeRegressor", "RandomForestRegressor", "ExtraTreesRegressor"),
    *("HistGradientBoostingRegressor", "XGBRegressor", "LGBMRegressor"),
)
LOG_ODDS = ("HistGradientBoostingClassifier", "XGBClassifier", "LGBMClassifier")


class NotAdditive(NotExplained):
    """The parts of an explanation do not add up to the answer, so it is not shown."""


def family(pipeline: Any) -> str:
    """Return what the trees of a pipeline add up: `shares`, `values` or `log-odds`; nothing for other estimators."""
    steps = getattr(pipeline, "named_steps", {})
    name = type(steps.get("estimator")).__name__
    kinds = {"shares": SHARES, "values": VALUES, "log-odds": LOG_ODDS}
    return next((kind for kind, names in kinds.items() if name in names), "")


def installed() -> bool:
    """Tell whether shap is here, without importing it."""
    return "shap" in sys.modules or find_spec("shap") is not None


class TreeExplainer:
    """Takes the answers of trees apart, row by row."""

    def __init__(self, schema: Schema, scorer: Scorer, fitted: Callable[[], Any]) -> None:
        """Take the fitted pipeline's trees over into shap, if that is here."""
        shap = _shap()
        pipeline = fitted()
        self.schema, self.scorer = schema, scorer
        self._features = pipeline.named_steps["features"]
        self._trees = _taken_over(shap, pipeline.named_steps["estimator"])
        self._owners = np.asarray(_owners(schema, self._features))
        outputs = np.size(self._trees.expected_value)
        self._base = np.asarray(self._trees.expected_value, dtype=np.float64).reshape(outputs)
        own = {"shares": "shares", "values": "identity", "log-odds": "sigmoid" if outputs == 1 else "softmax"}
        self.link = own[family(pipeline)]

    def effects(self, rows: Sequence[Row]) -> "Effects":
        """Return what each column of checked rows adds.

        Raises
        ------
        NotAdditive
            Base and parts do not give the answer.
        """
        from lockstep.modeling.explain import Effects

        each = [self._added(row) for row in self._matrix(rows)]
        added = np.zeros((len(rows), len(self.schema.columns), len(self._base)))
        for number, place in enumerate(self._owners):
            added[:, place] += np.asarray(each)[:, number]
        self._check(rows, self._base + added.sum(axis=1))
        return Effects(self.link, self._base, added)

    def _matrix(self, rows: Sequence[Row]) -> Floats:
        from lockstep.data import frames

        matrix = self._features.transform(frames.from_rows(list(rows), self.schema))
        return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)

    def _added(self, features: Floats) -> Floats:
        """Return what each feature of one row adds (features, outputs); between rows other threads have their turn."""
        found = self._trees.shap_values(features[None, :], check_additivity=False)
        return np.asarray(found, dtype=np.float64).reshape(len(features), len(self._base))

    def _check(self, rows: Sequence[Row], totals: Floats) -> None:
        found = LINKS["identity" if self.link == "shares" else self.link](totals)
        expected = self.scorer.score(rows)
        off = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        if not (off <= TOLERANCE).all():
            raise NotAdditive(
                f"the contributions miss the model's answer by {float(off.max()):.1e}, and are not shown",
                "ask without explain",
            )


def _taken_over(shap: Any, estimator: Any) -> Any:
    try:
        return shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    except Exception as error:
        raise NotExplained(f"shap does not explain this {type(estimator).__name__}", "ask without explain") from error


def _owners(schema: Schema, features: Any) -> list[int]:
    """Return for each feature of the matrix the place of the column it comes from."""
    from lockstep.modeling import compile

    return [place for part in compile.parts(schema, features) for place in part.form.owners]


def _shap() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports, for its plots
            import shap
    except ImportError:
        raise MissingExtra("shap", "explain", "to explain trees") from None
    return shap
