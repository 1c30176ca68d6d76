"""Shapley values of trees, by the package shap or that of the trees: what each feature adds, summed by column.

The value of a set of features is the expected output where the others are averaged over the train rows that took each
branch (path-dependent TreeSHAP, Lundberg et al. 2018, algorithm 2).
"""

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from lockstep.data.schema import Row, Schema
from lockstep.errors import MissingExtra, NotExplained
from lockstep.scoring.links import LINKS
from lockstep.scoring.scorers import Contributions, Floats, Scorer

# From the features of one row (features,) to what each adds, and last the base: (features + 1, outputs).
RowContributions = Callable[[Floats], Floats]
# Most that base and contributions may miss an answer by, in probability or in relation to a value; some trees add up
# in 32 bits.
TOLERANCE = 1e-5
SHARES = ("DecisionTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier")
VALUES = (
    *("DecisionTreeRegressor", "RandomForestRegressor", "ExtraTreesRegressor"),
    *("HistGradientBoostingRegressor", "XGBoostRegressor", "LightGBMRegressor"),
)
LOG_ODDS = ("HistGradientBoostingClassifier", "XGBoostClassifier", "LightGBMClassifier")
PACKAGES = ("shap", "xgboost", "lightgbm")


class NotAdditive(NotExplained):
    """The parts of an explanation do not add up to the answer, so it is not shown."""


def family(pipeline: Any) -> str:
    """Return what the trees of a pipeline add up: `shares`, `values` or `log-odds`; nothing for other estimators."""
    steps = getattr(pipeline, "named_steps", {})
    name = type(steps.get("estimator")).__name__
    kinds = {"shares": SHARES, "values": VALUES, "log-odds": LOG_ODDS}
    return next((kind for kind, names in kinds.items() if name in names), "")


def installed() -> bool:
    """Tell whether a package that explains trees is here, without importing it."""
    return any(name in sys.modules or find_spec(name) is not None for name in PACKAGES)


class TreeExplainer:
    """Explainer of trees, row by row."""

    def __init__(self, schema: Schema, scorer: Scorer, pipeline: Any) -> None:
        self.schema, self.scorer = schema, scorer
        self._features = pipeline.named_steps["features"]
        self._column_of_feature = _owners(schema, self._features)
        estimator = pipeline.named_steps["estimator"]
        name = next((name for name in READERS if name in type(estimator).__name__), "")
        self._parts = READERS[name](estimator) if name else _by_shap(estimator)
        self._absent = np.nan if name == "XGBoost" else 0.0
        log_odds = "softmax" if len(schema.labels) > 2 else "sigmoid"
        self.link = {"shares": "shares", "values": "identity", "log-odds": log_odds}[family(pipeline)]

    def contributions(self, rows: Sequence[Row]) -> Contributions:
        """Return what each column of checked rows adds. Raises NotAdditive: base and parts do not give the answer."""
        each = np.asarray([self._parts(row) for row in self._matrix(rows)])  # between rows other threads have a turn
        base = each[0, -1]
        added = np.zeros((len(rows), len(self.schema.columns), each.shape[2]))
        for number, index in enumerate(self._column_of_feature):
            added[:, index] += each[:, number]
        self._check(rows, base + added.sum(axis=1))
        return Contributions(self.link, base, added)

    def _matrix(self, rows: Sequence[Row]) -> Floats:
        from lockstep.data import frames

        matrix = self._features.transform(frames.from_rows(list(rows), self.schema))
        if not hasattr(matrix, "tocoo"):
            return np.asarray(matrix, dtype=np.float64)
        cells = matrix.tocoo()
        dense = np.full(matrix.shape, self._absent)
        dense[cells.row, cells.col] = cells.data
        return dense

    def _check(self, rows: Sequence[Row], totals: Floats) -> None:
        answers = LINKS["identity" if self.link == "shares" else self.link](totals)
        expected = self.scorer.score(rows)
        off = np.abs(answers - expected) / np.maximum(1, np.abs(expected))
        if not (off <= TOLERANCE).all():
            raise NotAdditive(
                f"the contributions miss the model's answer by {float(off.max()):.1e}, and are not shown",
                "ask without explain",
            )


def _owners(schema: Schema, features: Any) -> list[int]:
    """Return for each feature of the matrix the place of the column it comes from."""
    from lockstep.scoring import compiler

    try:
        steps = compiler.compiled_steps(schema, features)
    except compiler.NotCompiled as why:
        raise NotExplained(f"this model cannot be explained: {why}", "ask without explain") from why
    return [index for step in steps for index in step.form.column_of_feature]


def _by_shap(estimator: Any) -> RowContributions:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports, for its plots
        shap = _require("shap", "explain", "to explain these trees")
    try:
        trees = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    except Exception as error:
        raise NotExplained(f"shap does not explain this {type(estimator).__name__}", "ask without explain") from error
    base = np.atleast_1d(np.asarray(trees.expected_value, dtype=np.float64))

    def parts(features: Floats) -> Floats:
        values = trees.shap_values(features[None, :], check_additivity=False)
        return np.vstack((np.asarray(values, dtype=np.float64).reshape(len(features), len(base)), base))

    return parts


def _by_xgboost(estimator: Any) -> RowContributions:
    xgboost = _require("xgboost", "boosting", "to explain its trees")
    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(estimator.model_.tobytes()))
    return _by_booster(lambda row: booster.predict(xgboost.DMatrix(row, nthread=1), pred_contribs=True))


def _by_lightgbm(estimator: Any) -> RowContributions:
    lightgbm = _require("lightgbm", "boosting", "to explain its trees")
    booster = lightgbm.Booster(model_str=estimator.model_.tobytes().decode())
    return _by_booster(lambda row: booster.predict(row, pred_contrib=True, num_threads=1))


def _by_booster(predict: Callable[[Floats], Any]) -> RowContributions:
    """Read what a booster says of one row: (outputs, features + 1), the base last."""
    return lambda features: np.asarray(predict(features[None, :]), np.float64).reshape(-1, len(features) + 1).T


def _require(package: str, extra: str, purpose: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise MissingExtra(package, extra, purpose) from None


# Who explains trees that are not scikit-learn's, by a part of the class's name.
READERS: dict[str, Callable[[Any], RowContributions]] = {"XGBoost": _by_xgboost, "LightGBM": _by_lightgbm}
