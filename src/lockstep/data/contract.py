"""Data contract: validation rules for raw rows, and quarantine of the rows that break them.

Rules stand in params.yaml, or in `data/external/contract.json`, which `lockstep contract --accept` writes from the
schema that the train rows gave. They are never learned from the rows that they judge.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from lockstep import files, paths
from lockstep.config.params import Contract, Rule
from lockstep.data.cleaning import replaced
from lockstep.data.schema import Column, Schema, as_category
from lockstep.errors import DataError, nearest

FORMAT = 1
HINT = "mend the rows at their source, mend the rule, or set data_preprocessing.contract.on_violation: quarantine"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ContractResult:
    """Rows that satisfy the contract, quarantined rows with the rule that they break, and their number by rule."""

    frame: pd.DataFrame
    quarantined: pd.DataFrame
    reasons: dict[str, int] = field(default_factory=dict)


def enforce(frame: pd.DataFrame, contract: Contract, rules: Mapping[str, Rule]) -> ContractResult:
    """Validate rows against the rules of their columns.

    Raises DataError: rows break a rule and the contract refuses them, more than `most_quarantined` of them do, a column
    is gone, or holds too many missing values.
    """
    if contract.on_violation == "ignore" or not rules:
        return ContractResult(frame, _quarantine(frame, np.zeros(0, np.int64), []))
    _check_columns(frame, rules)
    reasons = np.full(len(frame), "", dtype=object)
    counts: dict[str, int] = {}
    for name, rule in rules.items():
        for reason, wrong in broken(frame[name], rule):
            if count := int(wrong.sum()):
                counts[f"{name}: {reason}"] = count
                reasons[wrong & (reasons == "")] = f"{name}: {reason}"
    row_indices = np.flatnonzero(reasons != "")
    summary = "; ".join(f"{reason} ({count} rows)" for reason, count in counts.items())[:1000]
    if counts and contract.on_violation == "refuse":
        raise DataError(f"{len(row_indices)} of {len(frame)} rows break the data contract: {summary}", HINT)
    if len(row_indices) > contract.most_quarantined * len(frame):
        raise DataError(
            f"{len(row_indices)} of {len(frame)} rows break the data contract, too many to quarantine: {summary}",
            "mend the source, or raise data_preprocessing.contract.most_quarantined",
        )
    return ContractResult(
        _typed(frame[reasons == ""], rules), _quarantine(frame, row_indices, reasons[row_indices].tolist()), counts
    )


def broken(values: pd.Series, rule: Rule) -> Iterator[tuple[str, Mask]]:
    """Yield each rule that a column may break, in words, with the rows (n,) that break it."""
    present = values.notna().to_numpy()
    if rule.required:
        yield "missing", ~present
    if rule.kind == "numeric" or rule.minimum is not None or rule.maximum is not None:
        yield from _wrong_numbers(values, present, rule)
    if rule.kind == "date":
        moments = pd.to_datetime(values.map(as_category), format="ISO8601", errors="coerce", utc=True)
        yield "no date as in 2026-01-31", present & moments.isna().to_numpy()
    if rule.categories:
        yield "not one of its categories", present & ~values.map(as_category).isin(rule.categories).to_numpy()
    if rule.pattern is not None:
        fits = values.map(as_category).astype("str").str.fullmatch(rule.pattern).fillna(False)
        yield f"does not match {rule.pattern}", present & ~fits.to_numpy(dtype=bool)


def _wrong_numbers(values: pd.Series, present: Mask, rule: Rule) -> Iterator[tuple[str, Mask]]:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    yield "no finite number", present & ~np.isfinite(numbers)
    if rule.minimum is not None:
        yield f"below {rule.minimum:g}", np.isfinite(numbers) & (numbers < rule.minimum)
    if rule.maximum is not None:
        yield f"above {rule.maximum:g}", np.isfinite(numbers) & (numbers > rule.maximum)


def _check_columns(frame: pd.DataFrame, rules: Mapping[str, Rule]) -> None:
    for name, rule in rules.items():
        if name not in frame.columns:
            raise DataError(
                f"the data contract names column {name!r}, which is gone{nearest(name, map(str, frame.columns))}",
                "bring it back at the source, or take its rule out of the contract",
            )
        share = float(frame[name].isna().mean())
        if share > rule.most_missing:
            raise DataError(
                f"column {name!r} is missing in {share:.1%} of the rows, and the data contract allows "
                f"{rule.most_missing:.1%}",
                "mend the source, or raise most_missing of its rule",
            )


def _typed(frame: pd.DataFrame, rules: Mapping[str, Rule]) -> pd.DataFrame:
    """Return rows with the types their rules state, so that a quarantined value changes no column's kind."""
    stated = {name: TYPES[rule.kind](frame[name]) for name, rule in rules.items() if rule.kind in TYPES}
    return replaced(frame, stated)


def _quarantine(frame: pd.DataFrame, row_indices: NDArray[np.int64], reasons: list[str]) -> pd.DataFrame:
    """Return rows as text, with their position in the raw table and the rule that they break."""
    rows = frame.iloc[row_indices]
    texts = {str(name): pd.Series(rows[name].map(as_category).tolist(), dtype="str") for name in rows.columns}
    row_numbers = rows.index.to_numpy(dtype=np.int64)
    return pd.DataFrame({**texts, "quarantine_row": row_numbers, "quarantine_reason": pd.Series(reasons, dtype="str")})


def rules(contract: Contract, source: str) -> dict[str, Rule]:
    """Return the rules of each column: those of params.yaml, before those accepted for this source.

    Raises DataError: the accepted contract is damaged.
    """
    return accepted(source) | dict(contract.columns)


def accepted(source: str, file: Path = paths.CONTRACT) -> dict[str, Rule]:
    """Return the rules accepted for this source, none without a file. Raises DataError: the file is damaged."""
    if not file.is_file():
        return {}
    try:
        document = files.read_json(file)
        if document["format"] != FORMAT or document["source"] != source:
            return {}
        return {name: Rule.model_validate(rule) for name, rule in document["columns"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise DataError(
            f"{file} is damaged: {' '.join(str(error).split())[:200]}",
            "write it anew with `lockstep contract --accept`, or remove it",
        ) from None


def write(accepted_rules: Mapping[str, Rule], source: str, file: Path) -> None:
    """Write rules as `accepted` reads them."""
    columns = {name: rule.model_dump(exclude_defaults=True, mode="json") for name, rule in accepted_rules.items()}
    files.write_json({"format": FORMAT, "source": source, "columns": columns}, file)


def from_schema(schema: Schema, source: str, margin: float) -> dict[str, Any]:
    """Return the contract that a schema makes, with ranges wider by `margin` of their width on either side.

    A number that never fell below zero may not do so either; a column may be missing half as often again, and in one
    row of a hundred more, than in training.
    """
    columns = {column.name: RULES_BY_KIND[column.kind](column, margin) | _missing(column) for column in schema.columns}
    return {"format": FORMAT, "source": source, "columns": columns}


def _missing(column: Column) -> dict[str, Any]:
    if not column.nullable:
        return {"required": True}
    return {"most_missing": round(min(1.0, 1.5 * (column.missing or 0.0) + 0.01), 4)}


def _range(column: Column, margin: float) -> dict[str, Any]:
    if column.minimum is None or column.maximum is None:
        return {"kind": "numeric"}
    low, high = column.minimum, column.maximum
    room = margin * (high - low)
    bounds = (max(0.0, low - room) if low >= 0 else low - room, min(0.0, high + room) if high <= 0 else high + room)
    return {"kind": "numeric", "minimum": bounds[0], "maximum": bounds[1]}


def _categories(column: Column, margin: float) -> dict[str, Any]:
    closed = column.unknown == "refuse" and column.categories
    return {"kind": "categorical"} | ({"categories": list(column.categories)} if closed else {})


TYPES: dict[Any, Callable[[pd.Series], pd.Series]] = {
    "numeric": lambda values: pd.to_numeric(values).astype("float64"),
    "categorical": lambda values: values.map(as_category),
}

# What a schema's column states as a rule, by its kind.
RULES_BY_KIND: dict[str, Callable[[Column, float], dict[str, Any]]] = {
    "numeric": _range,
    "categorical": _categories,
    "text": lambda column, margin: {"kind": "text"},
    "date": lambda column, margin: {"kind": "date"},
}
