"""Derived columns: functions of `features.py`, the project's code beside params.yaml, applied within the pipeline.

A function takes the rows as a frame of the model's columns and returns a series of one value a row. It takes the frame
and no arguments named as columns, since the name of a column need not be an identifier (`mean radius`). A model carries
the digest of features.py and never its code, which is imported from the project's folder or image only.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from lockstep import files, paths
from lockstep.config import use_cases
from lockstep.config.params import Kind
from lockstep.data.schema import FieldError, RowsRefused
from lockstep.errors import ArtifactError, ConfigError, DataError, nearest

Function = Callable[[pd.DataFrame], Any]

KEY = "feature_engineering.functions"
# Train rows on which a function is called row by row: the extremes, where a clip or a rank shows, and a sample.
PROBED_ROWS = 300


def sources() -> Iterator[Path]:
    """Yield every features.py that may be imported here: of this folder, of each model, and those of earlier models."""
    root = paths.current_root()
    yield from (Path(folder, paths.FUNCTIONS) for folder in (Path.cwd(), *use_cases.folders(root)))
    yield from sorted((root / paths.FUNCTIONS_HISTORY).glob("*.py"))


@cache
def load(sha256: str) -> dict[str, Function]:
    """Import the features.py of a digest, and return the functions that it defines.

    Raises ArtifactError: there is none here, or it cannot be imported.
    """
    contents = [path.read_bytes() for path in sources() if path.is_file()]
    present = {files.sha256_bytes(content): content for content in contents}
    if sha256 not in present:
        others = ", ".join(digest[:12] for digest in present) or "none"
        raise ArtifactError(
            f"it needs features.py with digest {sha256[:12]}; this server has {others}",
            f"put that file beside params.yaml, or as {paths.FUNCTIONS_HISTORY}/{sha256[:12]}.py",
        )
    name = f"features_{sha256[:12]}"
    module = sys.modules[name] = ModuleType(name)  # dataclasses look their module up there
    try:  # not by importlib, whose cached bytecode could be that of other bytes than were hashed
        code = compile(present[sha256], paths.FUNCTIONS, "exec")
        exec(code, module.__dict__)  # noqa: S102 - the project's own code # nosemgrep: no-eval
    except Exception as error:
        raise ArtifactError(f"features.py fails at its import: {type(error).__name__}: {error}", "mend it") from error
    return {key: value for key, value in inspect.getmembers(module, inspect.isfunction) if value.__module__ == name}


def archive() -> str:
    """Store features.py for later runs, which compare with and roll back to this model; return its digest."""
    if not paths.FUNCTIONS.is_file():
        raise ConfigError(f"{KEY} names functions, and there is no features.py", "write it beside params.yaml")
    content = paths.FUNCTIONS.read_bytes()
    sha256 = files.sha256_bytes(content)
    files.write_bytes(content, paths.current_root() / paths.FUNCTIONS_HISTORY / f"{sha256}.py")
    return sha256


class DerivedColumns(TransformerMixin, BaseEstimator):
    """Columns that functions of features.py compute, in a frame: numbers, or texts as categories.

    Parameters
    ----------
    functions : names of derived columns, each with that of its function.
    sha256 : digest of features.py.
    """

    def __init__(self, functions: Mapping[str, str], sha256: str) -> None:
        self.functions = functions
        self.sha256 = sha256

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn the kind of each derived column from rows x columns."""
        self.kinds_ = {name: _kind(name, self._apply(name, _canonical(X))) for name in self.functions}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return rows x derived columns.

        Raises RowsRefused: a function fails on a row, or gives no finite number for a row without a missing value.
        Raises DataError: a function returns something else than a value a row.
        """
        rows = _canonical(X)
        columns = {name: self._apply(name, rows) for name in self.kinds_}
        for name, values in columns.items():
            if self.kinds_[name] == "numeric":
                wrong = np.isinf(values) | (values.isna() & rows.notna().all(axis=1))
                problem = f"{self.functions[name]}() of features.py gives no finite number"
                if wrong.any():
                    raise RowsRefused([FieldError(int(row), name, problem) for row in np.flatnonzero(wrong)])
        return pd.DataFrame(columns, index=rows.index)

    def _apply(self, name: str, rows: pd.DataFrame) -> pd.Series:
        """Return the values of a derived column; a failure names the first row on which its function fails alone."""
        function, title = load(self.sha256)[self.functions[name]], f"{self.functions[name]}() of features.py"
        kind = getattr(self, "kinds_", {}).get(name)

        def compute(some: pd.DataFrame) -> pd.Series:
            return _typed(function(some.copy()), some, kind)

        try:
            return compute(rows)
        except Exception as error:
            row = _failing_row(compute, rows)
            if row is None:
                raise DataError(f"{title} fails: {type(error).__name__}: {error}", "mend it") from error
            raise RowsRefused([FieldError(row, name, f"{title} fails: {type(error).__name__}")]) from error


def _typed(values: Any, rows: pd.DataFrame, kind: Kind | None) -> pd.Series:
    """Return what a function returned, if it has a value of its kind for each row, in their order."""
    if not isinstance(values, pd.Series):
        raise TypeError(f"it returned a {type(values).__name__}, no Series")
    if not values.index.equals(rows.index):
        raise ValueError(f"it returned {len(values)} values for {len(rows)} rows, or in another order")
    if kind == "numeric":
        return pd.Series(values.to_numpy(np.float64, na_value=np.nan), rows.index)
    return values.astype(object).where(values.notna(), None) if kind else values


def _kind(name: str, values: pd.Series) -> Kind:
    present = values.dropna()
    if pd.api.types.is_numeric_dtype(values) or present.map(lambda value: isinstance(value, int | float)).all():
        return "numeric"
    if present.map(lambda value: isinstance(value, str)).all():
        return "categorical"
    raise ConfigError(f"{KEY}.{name} returns {values.dtype}", "return numbers, true and false, or texts")


def _canonical(X: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the one form in which training and serving pass them: float64, or objects with None."""
    rows = X.reset_index(drop=True)
    for name in rows.select_dtypes(exclude=np.float64):
        rows[name] = rows[name].astype(object).where(rows[name].notna(), None)
    return rows


def _failing_row(compute: Function, rows: pd.DataFrame) -> int | None:
    """Return the first row on which a computation fails alone, by halving the rows; None if it fails on no half."""
    try:
        compute(rows.reset_index(drop=True))
    except Exception:  # noqa: BLE001 - a function of the project fails in any way
        first, rest = rows.iloc[: len(rows) // 2], rows.iloc[len(rows) // 2 :]
        if first.empty:
            return int(rows.index[0])
        row = _failing_row(compute, first)
        return _failing_row(compute, rest) if row is None else row
    return None


def fit(train: pd.DataFrame, functions: Mapping[str, str]) -> DerivedColumns:
    """Return the functions of derived columns, fitted on train rows and checked row by row.

    Raises ConfigError: a name is wrong, or a function gives a row alone another value than beside the others.
    Raises DataError: a function fails.
    """
    sha256 = archive()
    defined = load(sha256)
    for name, function in functions.items():
        if name in train:
            raise ConfigError(f"{KEY}: {name!r} is a column of the data", "name the derived column otherwise")
        if function not in defined:
            problem = f"{KEY}: features.py defines no function {function!r}{nearest(function, defined)}"
            raise ConfigError(problem, f"it defines {', '.join(defined) or 'none'}")
    try:
        fitted = DerivedColumns(dict(functions), sha256).fit(train)
        together = fitted.transform(train)
    except RowsRefused as refused:
        raise DataError(f"train {refused.problem}", str(refused.__cause__ or "return a number for it")) from None
    for row in _probed(train.reset_index(drop=True), together):
        _check_parity(fitted, row, fitted.transform(train.iloc[[row]]), together)
    return fitted


def _probed(train: pd.DataFrame, together: pd.DataFrame) -> list[int]:
    """Return the rows at the extremes of each column, the first with a missing value in each, and a sample."""
    columns = pd.concat([together, train], axis=1)
    numbers = columns.select_dtypes(np.float64).dropna(axis=1, how="all")
    sample = np.linspace(0, len(train) - 1, PROBED_ROWS // 2).astype(np.int64)
    return list(dict.fromkeys([*sample, *numbers.idxmin(), *numbers.idxmax(), *columns.isna().idxmax()]))[:PROBED_ROWS]


def _check_parity(fitted: DerivedColumns, row: int, alone: pd.DataFrame, together: pd.DataFrame) -> None:
    for name, kind in fitted.kinds_.items():
        here, there = alone[name].iloc[0], together[name].iloc[row]
        same = np.isclose(here, there, rtol=1e-9, atol=0) if kind == "numeric" else here == there
        if not (same or (pd.isna(here) and pd.isna(there))):
            raise ConfigError(
                f"{KEY}.{name}: {fitted.functions[name]}() of features.py gives {there} for train row {row} beside the "
                f"others and {here} for it alone",
                "use the values of the row itself only: no mean, rank, shift or position among the rows",
            )
