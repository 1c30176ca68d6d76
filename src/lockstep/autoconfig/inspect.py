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
    sentinels,
    training_plan,
    value_formats,
)
from lockstep.autoconfig.choice import Choice
from lockstep.config import params as sections
from lockstep.config import params_file
from lockstep.config.params import CellFormat, DataIngestion, Reader, Role
from lockstep.data import cells, cleaning
from lockstep.data.cleaning import ROW_NUMBERS
from lockstep.data.sources import formats, read
from lockstep.data.sources.content import Content
from lockstep.errors import DataError, LockstepError, nearest
from lockstep.metrics import leakage
from lockstep.metrics.leakage import Leak

SAMPLE_BYTES = 8 << 20
MOST_ROWS, SEED = 100_000, 0
TOO_GOOD: dict[sections.Task, float] = {"binary": 0.97, "multiclass": 0.97, "regression": 0.995}
"""A column that looks like a noisy copy of the target is left out from this score on; below, a person decides."""


@dataclass(frozen=True)
class Wish:
    """What a person says beforehand; nothing else is asked."""

    target: str | None = None
    header: bool | None = None
    names: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    name: str | None = None
    encoding: str = ""
    separator: str = ""
    sheet: str | int = 0
    missing: tuple[str, ...] = ()
    skip: int | None = None


@dataclass(frozen=True)
class Survey:
    """The text of params.yaml and how it came about."""

    text: str
    decisions: tuple[Choice, ...]
    rows: int


def survey(ingestion: DataIngestion, wish: Wish, password: str = "") -> Survey:
    """Look at a source and write the params.yaml that fits it.

    Raises LockstepError: it cannot be read, or something is missing that only a person knows.
    """
    reader, choices = _reader(ingestion, wish, password)
    frame, reader, more = _read(ingestion.model_copy(update={"reader": reader}), password, wish)
    choices = (*choices, *more)
    ingestion = ingestion.model_copy(update={"reader": reader})
    rows = len(frame)
    if rows > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=SEED).sort_index().reset_index(drop=True)
        choices = (*choices, Choice("rows", f"{MOST_ROWS} of {rows}", "drawn at random to decide what follows"))
    target = _target(frame, wish.target)
    _check_named(frame, (*wish.keep, *wish.ignore))
    column_findings = column_roles.roles(frame, target)
    task, why = training_plan.decide_task(frame[target])
    rare = training_plan.rare_classes(frame[target], task)
    if rare:
        counts = frame[target].map(frame[target].value_counts())
        frame = frame[frame[target].isna() | (counts >= training_plan.LEAST_IN_CLASS)].reset_index(drop=True)
    roles, said, trusted = _roles(frame, target, task, column_findings, wish)
    measure = training_plan.choose_metric(task, frame[target], {"text"} == set(roles.values()) & set(sections.KINDS))
    name = wish.name or _name(ingestion)
    plan = training_plan.make(_distinct(frame, roles, target), target, roles, task, measure.decided)
    distinct = len(_distinct(frame, roles, target))
    plan = replace(
        plan,
        trusted=trusted,
        positive=training_plan.positive(frame[target]) if task == "binary" else None,
        rare_classes="drop" if rare else "keep",
        drop_duplicates=distinct >= min(training_plan.LEAST_ROWS, frame[target].notna().sum()),
    )
    floor, judged = _floor(frame, ingestion, target, plan, name)
    text = params_writer.render(ingestion, target, plan, floor, name)
    params_file.parse(text)
    decisions = (
        *choices,
        Choice("target", target, _seen(frame, target)),
        why,
        *([rare] if rare else []),
        *said,
        measure,
        _candidates(plan),
        judged,
    )
    return Survey(text, decisions, rows)


def _reader(ingestion: DataIngestion, wish: Wish, password: str) -> tuple[Reader, tuple[Choice, ...]]:
    """Decide how the first file of the source is read; what a database holds needs no decision."""
    first = read.expand(ingestion.sources[0])[0]
    stated = ingestion.reader.model_copy(update={"sheet": wish.sheet})
    if read.scheme(first) in ("sklearn", "sqlite", "postgres", "postgresql"):
        return stated, ()
    with read.fetched(first, ingestion) as (content, _):
        kind = content.format() if ingestion.format == "auto" else ingestion.format
        if kind in ("csv", "sheet"):
            with formats.as_text(content, kind, stated) as text:
                return _of_text(text, wish)
    return _of_values(read.read(ingestion, password).frame, stated)


def _of_values(frame: pd.DataFrame, stated: Reader) -> tuple[Reader, tuple[Choice, ...]]:
    """Decide how the texts of a file with types, such as JSON or Parquet, are read."""
    texts = [str(name) for name in frame.columns if pd.api.types.is_string_dtype(frame[name])]
    columns = {name: frame[name].dropna().astype(str).tolist() for name in texts}
    spelled = value_formats.inspect({name: cells for name, cells in columns.items() if cells})
    return stated.model_copy(update={"columns": dict(spelled.columns), "missing": spelled.missing}), spelled.decisions


def _of_text(content: Content, wish: Wish) -> tuple[Reader, tuple[Choice, ...]]:
    with content.opened() as counted:
        sample = io.BufferedReader(counted).read(SAMPLE_BYTES)
    written = csv_dialect.inspect(
        sample, len(sample) < SAMPLE_BYTES, csv_dialect.Stated(wish.encoding, wish.separator, wish.skip)
    )
    if wish.header is not None and wish.header != written.header:
        written = replace(written, header=wish.header)
    heads, renamed = _heads(written, wish)
    columns: dict[str, list[str]] = {name: [] for name in heads}
    for row in written.values:
        if len(row) == len(heads):
            for name, cell in zip(heads, row, strict=True):
                columns[name].append(cell)
    spelled = value_formats.inspect(columns, wish.target, wish.missing)
    heads = [head.strip() for head in heads] if spelled.trim and (renamed or wish.names) else heads
    reader = Reader(
        separator=written.separator,
        header=written.header,
        names=tuple(heads) if renamed or wish.names else (),
        encoding=written.encoding,
        missing=spelled.missing,
        quote=written.quote or "",  # type: ignore[arg-type]
        trim=spelled.trim,
        skip=written.skip,
        footer=written.footer,
        comment=written.comment,
        sheet=wish.sheet,
        columns=dict(spelled.columns),
    )
    return reader, (*written.decisions, *renamed, *spelled.decisions)


def _read(ingestion: DataIngestion, password: str, wish: Wish) -> tuple[pd.DataFrame, Reader, tuple[Choice, ...]]:
    """Read all rows; say which cells are odd, find sentinels, and leave out formats that say nothing."""
    rows = read.read(ingestion, password)
    frame, columns = rows.frame, dict(ingestion.reader.columns)
    decisions = []
    for name, odd in rows.odd.items():
        examples = ", ".join(map(repr, odd.examples[:3]))
        kind = columns[name].kind
        look = f"{name}: {odd.count} of {len(frame)} cells are no {kind}, such as {examples}: they are missing"
        decisions.append(
            Choice(name, f"{odd.count} odd cells are missing", f"nearly all are a {columns[name].kind}", look)
        )
    numbers, target = [name for name in frame.columns if name not in wish.keep], _target(frame, wish.target)
    found = {name: [value] for name, value in sentinels.find(frame[numbers]).items()}
    if target in numbers:
        found[target] = list(dict.fromkeys([*found.get(target, []), *sentinels.impossible(frame[target])]))
    for name, values in found.items():
        for value in values:
            described = columns.get(name, CellFormat(kind="number"))
            columns[name] = described.model_copy(update={"missing": (*described.missing, f"{value:.15g}")})
            decisions.append(_sentinel(frame[name], value))
            frame = sentinels.without(frame, {name: value})
    columns = {name: _spare(described, name in rows.odd) for name, described in columns.items()}
    plain = (CellFormat(kind="number"), CellFormat(kind="date", dates=(cells.ISO,)))
    columns = {name: described for name, described in columns.items() if described not in plain}
    return frame, ingestion.reader.model_copy(update={"columns": columns}), tuple(decisions)


def _sentinel(values: pd.Series, value: float) -> Choice:
    """Return what becomes of a number that stands for a missing value."""
    name, count = str(values.name), int((values == value).sum())
    look = (
        f"{name}: {value:g} in {count} rows stands far from all other values: taken for missing; "
        f"if it is a number, take it out of reader.columns (or say --keep {params_writer.flow(name)})"
    )
    return Choice(name, f"missing: {value:g}", f"in {count} rows, far from all others", look)


def _spare(described: CellFormat, has_odd: bool) -> CellFormat:
    """Return a format that refuses odd cells if the source has none."""
    return described if has_odd else described.model_copy(update={"odd": "refuse"})


def _heads(written: csv_dialect.Dialect, wish: Wish) -> tuple[list[str], list[Choice]]:
    """Return the names of the columns: the wished, those of the header, and made up ones where there are none."""
    width = len(written.rows[0]) if written.rows else 0
    if wish.names:
        if len(wish.names) != width:
            raise DataError(
                f"--names gives {len(wish.names)} names, the file has {width} columns", "name each column, in order"
            )
        return list(wish.names), []
    names = written.rows[0] if written.header else [""] * width
    if written.header and not names[0].strip() and width > 1 and written.decisions[-1].about == "row names":
        names = [ROW_NUMBERS, *names[1:]]
    heads: list[str] = []
    for number, name in enumerate(names, 1):
        unnamed = not name.strip() and (number > 1 or not written.header)
        heads.append(f"column_{number}" if unnamed else f"{name}_{number}" if name in heads else name)
    invented = [head for head, name in zip(heads, names, strict=True) if head != name]
    if not written.header and heads:
        look = "the columns have made up names: --names A,B,... gives better ones, which clients of the service use too"
        return heads, [Choice("names", f"{heads[0]} to {heads[-1]}", "there is no header", look)]
    if not invented:
        return heads, []
    look = f"the header lacks names or repeats them: {', '.join(invented[:5])} are made up; write better ones"
    return heads, [Choice("names", ", ".join(invented[:3]), "the header has none, or has them twice", look)]


def _target(frame: pd.DataFrame, wished: str | None) -> str:
    """Return the target that was named, by its name or its place from 1 on.

    Raises DataError: none was named, or none of that name exists.
    """
    names = [str(name) for name in frame.columns]
    if wished in names:
        return str(wished)
    if wished and wished.isdecimal() and 1 <= int(wished) <= len(names):
        return names[int(wished) - 1]
    listed = "; ".join(f"{number} {name} ({_some(frame[name])})" for number, name in _likely(frame))
    if wished is None:
        raise DataError("which column is to be predicted?", f"say --target with a name or a number, such as {listed}")
    raise DataError(
        f"target column {wished!r} not found{nearest(wished, names)}",
        f"--target takes a name or a number: {listed}; --names A,B,... names the columns of a file without a header",
    )


def _likely(frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Return the columns that a person most often wants to predict: few classes, from the right."""
    numbered = [(number, str(name)) for number, name in enumerate(frame.columns, 1)]
    fits = [(number, name) for number, name in numbered if 2 <= frame[name].nunique() <= max(20, 0.01 * len(frame))]
    return [*reversed(fits), *reversed([entry for entry in numbered if entry not in fits])][:8]


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
) -> tuple[dict[str, Role], list[Choice], tuple[str, ...]]:
    """Return the role of each column after leaks and wishes, what to tell of it, and the leaks that a person keeps."""
    roles: dict[str, Role] = {name: finding.role for name, finding in found.items()}
    decisions = [
        Choice(name, finding.role, finding.why)
        for name, finding in found.items()
        if finding.told and name not in wish.keep
    ]
    for name in wish.ignore:
        roles[name] = "ignore"
    for name in wish.keep:
        if roles.get(name) in ("id", "ignore"):
            roles[name] = "numeric" if pd.api.types.is_numeric_dtype(frame[name]) else "categorical"
    leaks = _leaks(frame, roles, target, task)
    copies = [name for name, leak in leaks.items() if leak.score < TOO_GOOD[task] and name not in wish.keep]
    for name in copies:
        look = (
            f"{name}: {leaks[name].reason}; if it is recorded after {target}, say --ignore {params_writer.flow(name)}"
        )
        decisions.append(Choice(name, f"{roles[name]}, though it tells much", leaks[name].reason, look))
    left_out = [name for name in leaks if name not in (*wish.keep, *copies)]
    look = f"{', '.join(left_out)}: to be left out, unless known before {target} is; --keep COLUMN keeps one"
    for name in left_out:
        roles[name] = "ignore"
        decisions.append(Choice(name, "left out: a leak", leaks[name].reason, look if name == left_out[0] else ""))
    for name in column_roles.groups(frame, found, target):
        column = params_writer.flow(name)
        look = f"{name} repeats: if rows of one {name} are alike, set split: {{method: group, column: {column}}}"
        decisions.append(Choice(name, roles[name], "an identifier with several rows each", look))
    for name in (name for name, role in roles.items() if role == "date"):
        look = f"{name}: to foretell the future, set split: {{method: time, column: {params_writer.flow(name)}}}"
        decisions.append(Choice(name, "date", "its calendar parts become features", look))
    _check_left(roles, decisions, target)
    kinds = {kind: list(roles.values()).count(kind) for kind in sections.KINDS}
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    trusted = tuple(name for name in leaks if name in wish.keep or name in copies)
    return roles, [Choice("features", counted, "by their values"), *decisions], trusted


def _leaks(frame: pd.DataFrame, roles: dict[str, Role], target: str, task: sections.Task) -> dict[str, Leak]:
    """Return the features that leak the target, as the gate finds them in the rows that are left to train and test."""
    kinds: dict[str, sections.Kind] = {
        name: role for name, role in roles.items() if role != "id" and role != "ignore" and frame[name].notna().any()
    }
    rows = _distinct(frame, roles, target)
    features = cleaning.canonical(rows, kinds)
    features[target] = cleaning.canonical_target(rows[target], task)
    return leakage.leaky_columns(features, kinds, target, task)


def _check_left(roles: dict[str, Role], decisions: Sequence[Choice], target: str) -> None:
    """Refuse to go on without a feature."""
    if not any(role in sections.KINDS for role in roles.values()):
        left = ", ".join(f"{decision.about} ({decision.decided}: {decision.why})" for decision in decisions[:5])
        raise DataError(
            f"no column is left to foretell {target}: {left}", "say --keep COLUMN if one is known beforehand"
        )


def _distinct(frame: pd.DataFrame, roles: dict[str, Role], target: str) -> pd.DataFrame:
    """Return the rows that can teach: with a target, and no exact duplicates in what is used."""
    used = [name for name, role in roles.items() if role in sections.KINDS]
    return frame[frame[target].notna()].drop_duplicates([*used, target])


def _floor(
    frame: pd.DataFrame, ingestion: DataIngestion, target: str, plan: training_plan.Plan, name: str
) -> tuple[baseline_score.Baseline | None, Choice]:
    """Measure quick models, and ask what a gate may ask of the real ones."""
    params = params_file.parse(params_writer.render(ingestion, target, plan, None, name))
    try:
        baseline = baseline_score.measure(frame, params)
    except (LockstepError, ValueError) as error:
        why = error.problem if isinstance(error, LockstepError) else str(error)
        return None, Choice("floor", "none", f"quick models fail: {why}", "set model_evaluation.floors yourself")
    figures = f"a constant answer gives {baseline.constant:.3f}, quick models {baseline.reached:.3f}"
    if not baseline.signal:
        look = f"the columns tell next to nothing about {target}: is anything missing, or left out wrongly?"
        return None, Choice("floor", "none but the constant answer", figures, look)
    return baseline, Choice("floor", f"{baseline.metric} {baseline.floor}", figures)


def _candidates(plan: training_plan.Plan) -> Choice:
    named = ", ".join(str(candidate["estimator"]) for candidate in plan.candidates)
    return Choice("candidates", named, f"{plan.folds} folds choose among them")


def _name(ingestion: DataIngestion) -> str:
    """Return a name for the model, from that of the source."""
    last = re.split(r"[/:]", ingestion.sources[0].partition("?")[0].rstrip("/"))[-1]
    stem = PurePosixPath(last).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9-]+", "-", stem).strip("-")[:60].lower() or "model"
