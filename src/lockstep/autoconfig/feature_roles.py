"""The role of each column once its values, the leaks and the overrides of a person are weighed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lockstep.autoconfig import params_writer
from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.column_roles import FEW, ColumnRole
from lockstep.config import params as sections
from lockstep.config.params import Role
from lockstep.data import cells as cell_values
from lockstep.data import cleaning
from lockstep.errors import DataError, QuestionError, nearest
from lockstep.metrics import leakage
from lockstep.metrics.leakage import Verdict

MOSTLY = 0.5  # A column with a smaller share of texts among its numbers is worth a word.


@dataclass(frozen=True)
class ColumnOverrides:
    """Columns of which a person says that they are features, or none."""

    keep: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeatureRoles:
    """The role of each column, what to tell of them, and the leaks that a person keeps."""

    roles: dict[str, Role]
    decisions: tuple[Choice, ...]
    trusted: tuple[str, ...]


def decide(
    frame: pd.DataFrame,
    target: str,
    task: sections.Task,
    findings: Mapping[str, ColumnRole],
    overrides: ColumnOverrides,
) -> FeatureRoles:
    """Return the role of each column after leaks and the overrides of a person.

    Raises LockstepError: a stated column does not exist, or no feature is left.
    """
    _check_named(frame, (*overrides.keep, *overrides.ignore))
    roles: dict[str, Role] = {name: finding.role for name, finding in findings.items()}
    mixed = {name: _mostly_numbers(frame[name], finding.role) for name, finding in findings.items()}
    decisions = [
        Choice(name, finding.role, finding.why, mixed[name])
        for name, finding in findings.items()
        if (finding.notable or mixed[name]) and name not in overrides.keep
    ]
    for name in overrides.ignore:
        roles[name] = "ignore"
    for name in overrides.keep:
        if roles.get(name) in ("id", "ignore"):
            roles[name] = "numeric" if pd.api.types.is_numeric_dtype(frame[name]) else "categorical"
    verdict = _verdict(frame, roles, target, task)
    left_out = [name for name in verdict.leaks if name not in overrides.keep]
    decisions += [Choice(name, "date", "its calendar parts become features") for name in roles if roles[name] == "date"]
    decisions += _said(verdict, roles, left_out, target)
    for name in left_out:
        roles[name] = "ignore"
    _check_left(roles, decisions, target)
    kinds = {kind: list(roles.values()).count(kind) for kind in sections.KINDS}
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    trusted = tuple(name for name in verdict.leaks if name in overrides.keep)
    return FeatureRoles(roles, (Choice("features", counted, "by their values"), *decisions), trusted)


def _mostly_numbers(values: pd.Series, role: Role) -> str:
    """Say of a column that is no number that most of its cells are, with some that are not; else nothing."""
    if role in ("numeric", "date", "ignore") or values.nunique() <= FEW:
        return ""
    cells = values.dropna()
    is_text = cells.map(lambda cell: isinstance(cell, str) and cell_values.number(cell) is None)
    if not 0 < is_text.sum() < MOSTLY * len(cells):
        return ""
    such = ", ".join(map(repr, cells[is_text].value_counts().index[:3]))
    return (
        f"{values.name}: taken as {role}, though {1 - is_text.mean():.0%} of its cells are numbers: the others, such "
        f"as {such}, are too many to count as missing; say --missing TEXT for one that means it"
    )


def _check_named(frame: pd.DataFrame, named: Sequence[str]) -> None:
    for name in named:
        if name not in frame.columns:
            raise DataError(
                f"column {name!r} not found{nearest(name, map(str, frame.columns))}", "see --keep, --ignore"
            )


def _said(verdict: Verdict, roles: Mapping[str, Role], left_out: Sequence[str], target: str) -> Iterator[Choice]:
    """Say which columns are left out as leaks, and which come near to one."""
    look = f"{', '.join(left_out)}: to be left out, unless known before {target} is; --keep COLUMN keeps one"
    for name in left_out:
        yield Choice(name, "left out: a leak", verdict.leaks[name].reason, look if name == left_out[0] else "")
    for name, leak in verdict.near.items():
        look = (
            f"{name}: {leak.reason}; if it is recorded with {target} or after, say --ignore {params_writer.flow(name)}"
        )
        yield Choice("near copy", f"{name} stays {roles[name]}", leak.reason, look)


def _verdict(frame: pd.DataFrame, roles: Mapping[str, Role], target: str, task: sections.Task) -> Verdict:
    """Return the features that leak the target, as the gate finds them in the rows that are left to train and test."""
    kinds: dict[str, sections.Kind] = {
        name: role for name, role in roles.items() if role != "id" and role != "ignore" and frame[name].notna().any()
    }
    rows = distinct(frame, roles, target)
    features = cleaning.canonical(rows, kinds)
    features[target] = cleaning.canonical_target(rows[target], task)
    return leakage.verdict(features, kinds, target, task)


def _check_left(roles: Mapping[str, Role], decisions: Sequence[Choice], target: str) -> None:
    """Refuse to go on without a feature."""
    if not any(role in sections.KINDS for role in roles.values()):
        left = ", ".join(f"{decision.about} ({decision.decided}: {decision.why})" for decision in decisions[:5])
        raise QuestionError(
            f"no column is left to foretell {target}: {left}", "say --keep COLUMN if one is known beforehand"
        )


def distinct(frame: pd.DataFrame, roles: Mapping[str, Role], target: str) -> pd.DataFrame:
    """Return the rows that can teach: with a target, and no exact duplicates in what is used."""
    used = [name for name, role in roles.items() if role in sections.KINDS]
    return frame[frame[target].notna()].drop_duplicates([*used, target])
