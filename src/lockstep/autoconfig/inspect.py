"""From a source to its params.yaml: read a sample, decide how to read all of it, read it, decide the rest."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import pandas as pd

from lockstep.autoconfig import (
    baseline_score,
    column_roles,
    csv_dialect,
    params_writer,
    training_plan,
    value_formats,
)
from lockstep.autoconfig.choice import Decision
from lockstep.config import params as sections
from lockstep.config import params_file
from lockstep.config.params import DataIngestion, Reader, Role
from lockstep.data import cleaning
from lockstep.data.sources import read
from lockstep.data.sources.content import Content
from lockstep.errors import DataError, LockstepError, nearest
from lockstep.metrics import leakage
from lockstep.metrics.leakage import Leak

SAMPLE_BYTES = 8 << 20


@dataclass(frozen=True)
class Wish:
    """What a person says beforehand; nothing else is asked."""

    target: str | None = None
    header: bool | None = None
    names: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Survey:
    """The text of params.yaml and how it came about."""

    text: str
    decisions: tuple[Decision, ...]
    rows: int


def survey(ingestion: DataIngestion, wish: Wish, password: str = "") -> Survey:
    """Look at a source and write the params.yaml that fits it.

    Raises
    ------
    LockstepError
        It cannot be read, or something is missing that only a person knows.
    """
    reader, told = _reader(ingestion, wish)
    ingestion = ingestion.model_copy(update={"reader": reader})
    frame = read.read(ingestion, password).frame
    target = _target(frame, wish.target)
    _check_named(frame, (*wish.keep, *wish.ignore))
    found = column_roles.roles(frame, target)
    task, why = training_plan.decide_task(frame[target])
    roles, said, trusted = _roles(frame, target, task, found, wish)
    measure = training_plan.choose_metric(task, frame[target], {"text"} == set(roles.values()) & set(sections.KINDS))
    name = wish.name or _name(ingestion)
    made = training_plan.make(_distinct(frame, roles, target), target, roles, task, measure.decided)
    made = replace(made, trusted=trusted)
    floor, judged = _floor(frame, ingestion, target, made, name)
    text = params_writer.render(ingestion, target, made, floor, name)
    params_file.parse(text)
    decisions = (
        *told,
        Decision("target", target, _seen(frame, target)),
        why,
        *said,
        measure,
        _candidates(made),
        judged,
    )
    return Survey(text, decisions, len(frame))


def _reader(ingestion: DataIngestion, wish: Wish) -> tuple[Reader, tuple[Decision, ...]]:
    """Decide how the first file of the source is read; what is no text needs no decision."""
    first = read.expand(ingestion.sources[0])[0]
    if read.scheme(first) in ("sklearn", "sqlite", "postgres", "postgresql"):
        return ingestion.reader, ()
    with read.fetched(first, ingestion) as (content, _):
        if (content.format() if ingestion.format == "auto" else ingestion.format) != "csv":
            return ingestion.reader, ()
        return _of_text(content, wish)


def _of_text(content: Content, wish: Wish) -> tuple[Reader, tuple[Decision, ...]]:
    with content.opened() as counted:
        sample = io.BufferedReader(counted).read(SAMPLE_BYTES)
    written = csv_dialect.inspect(sample, whole=len(sample) < SAMPLE_BYTES)
    if wish.header is not None and wish.header != written.header:
        written = replace(written, header=wish.header)
    heads, renamed = _heads(written, wish)
    spelled = value_formats.inspect([head.strip() for head in heads], written.values)
    reader = Reader(
        separator=written.separator,
        header=written.header,
        names=tuple(heads) if renamed or wish.names else (),
        encoding=written.encoding,
        missing=spelled.missing,
        quote=written.quote or "",  # type: ignore[arg-type]
        decimal=spelled.decimal,  # type: ignore[arg-type]
        thousands=spelled.thousands,  # type: ignore[arg-type]
        trim=spelled.trim,
        dates=dict(spelled.dates),
    )
    return reader, (*written.decisions, *renamed, *spelled.decisions)


def _heads(written: csv_dialect.Dialect, wish: Wish) -> tuple[list[str], list[Decision]]:
    """Return the names of the columns: the wished, those of the header, and made up ones where there are none."""
    width = len(written.rows[0]) if written.rows else 0
    if wish.names:
        if len(wish.names) != width:
            raise DataError(
                f"--names gives {len(wish.names)} names, the file has {width} columns", "name each column, in order"
            )
        return list(wish.names), []
    given = written.rows[0] if written.header else [""] * width
    heads: list[str] = []
    for place, name in enumerate(given, 1):
        unnamed = not name.strip() and (place > 1 or not written.header)
        heads.append(f"column_{place}" if unnamed else f"{name}_{place}" if name in heads else name)
    made = [head for head, name in zip(heads, given, strict=True) if head != name]
    if not written.header and heads:
        look = "the columns have made up names: --names A,B,... gives better ones, which clients of the service use too"
        return heads, [Decision("names", f"{heads[0]} to {heads[-1]}", "there is no header", look)]
    if not made:
        return heads, []
    look = f"the header lacks names or repeats them: {', '.join(made[:5])} are made up; write better ones"
    return heads, [Decision("names", ", ".join(made[:3]), "the header has none, or has them twice", look)]


def _target(frame: pd.DataFrame, wished: str | None) -> str:
    """Return the target that was named, by its name or its place from 1 on.

    Raises
    ------
    DataError
        None was named, or none of that name exists.
    """
    names = [str(name) for name in frame.columns]
    if wished in names:
        return str(wished)
    if wished and wished.isdecimal() and 1 <= int(wished) <= len(names):
        return names[int(wished) - 1]
    listed = "; ".join(f"{place} {name} ({_some(frame[name])})" for place, name in _likely(frame))
    if wished is None:
        raise DataError("which column is to be predicted?", f"say --target with a name or a number, such as {listed}")
    raise DataError(
        f"target column {wished!r} not found{nearest(wished, names)}",
        f"--target takes a name or a number: {listed}; --names A,B,... names the columns of a file without a header",
    )


def _likely(frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Return the columns that a person most often wants to predict: few classes, from the right."""
    numbered = [(place, str(name)) for place, name in enumerate(frame.columns, 1)]
    fits = [(place, name) for place, name in numbered if 2 <= frame[name].nunique() <= max(20, 0.01 * len(frame))]
    return [*reversed(fits), *reversed([one for one in numbered if one not in fits])][:8]


def _some(values: pd.Series) -> str:
    shown = [str(value)[:16] for value in values.dropna().unique()[:3]]
    return ", ".join(shown)


def _seen(frame: pd.DataFrame, target: str) -> str:
    missing = int(frame[target].isna().sum())
    return f"{_some(frame[target])}, ..." + (f"; {missing} rows without it are dropped" if missing else "")


def _check_named(frame: pd.DataFrame, named: Sequence[str]) -> None:
    for name in named:
        if name not in frame.columns:
            raise DataError(
                f"column {name!r} not found{nearest(name, map(str, frame.columns))}", "see --keep, --ignore"
            )


def _roles(
    frame: pd.DataFrame, target: str, task: sections.Task, found: dict[str, column_roles.Found], wish: Wish
) -> tuple[dict[str, Role], list[Decision], tuple[str, ...]]:
    """Return the role of each column after leaks and wishes, what to tell of it, and the leaks that a person keeps."""
    roles: dict[str, Role] = {name: one.role for name, one in found.items()}
    decisions = [Decision(name, one.role, one.why) for name, one in found.items() if one.told and name not in wish.keep]
    for name in wish.ignore:
        roles[name] = "ignore"
    for name in wish.keep:
        if roles[name] in ("id", "ignore"):
            roles[name] = "numeric" if pd.api.types.is_numeric_dtype(frame[name]) else "categorical"
    leaks = _leaks(frame, roles, target, task)
    left_out = [name for name in leaks if name not in wish.keep]
    look = f"{', '.join(left_out)}: to be left out, unless known before {target} is; --keep COLUMN keeps one"
    for name in left_out:
        roles[name] = "ignore"
        decisions.append(Decision(name, "left out: a leak", leaks[name].reason, look if name == left_out[0] else ""))
    for name in column_roles.groups(frame, found, target):
        column = params_writer.flow(name)
        look = f"{name} repeats: if rows of one {name} are alike, set split: {{method: group, column: {column}}}"
        decisions.append(Decision(name, roles[name], "an identifier with several rows each", look))
    for name in (name for name, role in roles.items() if role == "date"):
        look = f"{name}: to foretell the future, set split: {{method: time, column: {params_writer.flow(name)}}}"
        decisions.append(Decision(name, "date", "its calendar parts become features", look))
    _check_left(roles, decisions, target)
    kinds = {kind: list(roles.values()).count(kind) for kind in sections.KINDS}
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    trusted = tuple(name for name in leaks if name in wish.keep)
    return roles, [Decision("features", counted, "by their values"), *decisions], trusted


def _leaks(frame: pd.DataFrame, roles: dict[str, Role], target: str, task: sections.Task) -> dict[str, Leak]:
    """Return the features that leak the target, as the gate finds them in the rows that are left to train and test."""
    kinds: dict[str, sections.Kind] = {
        name: role for name, role in roles.items() if role != "id" and role != "ignore" and frame[name].notna().any()
    }
    rows = _distinct(frame, roles, target)
    features = cleaning.canonical(rows, kinds)
    features[target] = cleaning.canonical_target(rows[target], task)
    return leakage.leaky_columns(features, kinds, target, task)


def _check_left(roles: dict[str, Role], decisions: Sequence[Decision], target: str) -> None:
    """Refuse to go on without a feature."""
    if not any(role in sections.KINDS for role in roles.values()):
        left = ", ".join(f"{one.about} ({one.decided}: {one.why})" for one in decisions[:5])
        raise DataError(
            f"no column is left to foretell {target}: {left}", "say --keep COLUMN if one is known beforehand"
        )


def _distinct(frame: pd.DataFrame, roles: dict[str, Role], target: str) -> pd.DataFrame:
    """Return the rows that can teach: with a target, and no exact duplicates in what is used."""
    used = [name for name, role in roles.items() if role in sections.KINDS]
    return frame[frame[target].notna()].drop_duplicates([*used, target])


def _floor(
    frame: pd.DataFrame, ingestion: DataIngestion, target: str, made: training_plan.Plan, name: str
) -> tuple[baseline_score.Baseline | None, Decision]:
    """Measure quick models, and ask what a gate may ask of the real ones."""
    params = params_file.parse(params_writer.render(ingestion, target, made, None, name))
    try:
        found = baseline_score.measure(frame, params)
    except LockstepError as error:
        return None, Decision(
            "floor", "none", f"quick models fail: {error.problem}", "set model_evaluation.floors yourself"
        )
    figures = f"a constant answer gives {found.constant:.3f}, quick models {found.reached:.3f}"
    if not found.signal:
        look = f"the columns tell next to nothing about {target}: is anything missing, or left out wrongly?"
        return None, Decision("floor", "none but the constant answer", figures, look)
    return found, Decision("floor", f"{found.metric} {found.floor}", figures)


def _candidates(made: training_plan.Plan) -> Decision:
    named = ", ".join(str(one["estimator"]) for one in made.candidates)
    return Decision("candidates", named, f"{made.folds} folds choose among them")


def _name(ingestion: DataIngestion) -> str:
    """Return a name for the model, from that of the source."""
    last = re.split(r"[/:]", ingestion.sources[0].partition("?")[0].rstrip("/"))[-1]
    stem = PurePosixPath(last).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9-]+", "-", stem).strip("-")[:60].lower() or "model"
