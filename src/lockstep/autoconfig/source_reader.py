"""How a source is read: a sample decides, and all rows are read so; odd cells and sentinels are counted."""

import io
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lockstep.autoconfig import csv_dialect, params_writer, sentinels, value_formats
from lockstep.autoconfig import target as target_column
from lockstep.autoconfig.choice import Choice
from lockstep.config.params import CellFormat, DataIngestion, Reader
from lockstep.data.schema import ROW_NUMBERS, unnamed_column
from lockstep.data.sources import formats, read
from lockstep.data.sources.content import Content
from lockstep.data.sources.read import Rows
from lockstep.errors import DataError, MixedTypesError

SAMPLE_BYTES = 8 << 20


@dataclass(frozen=True)
class InitOptions:
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


def describe(
    ingestion: DataIngestion, options: InitOptions, password: str
) -> tuple[Reader, tuple[Choice, ...], frozenset[str]]:
    """Decide how the first file of the source is read, and which of its columns need no description.

    What a database holds needs no decision.
    """
    first = read.expand(ingestion.sources[0])[0]
    stated = ingestion.reader.model_copy(update={"sheet": options.sheet})
    if read.scheme(first) in ("sklearn", "sqlite", "postgres", "postgresql"):
        return stated, (), frozenset()
    with read.fetched(first, ingestion) as (content, _):
        kind = content.format() if ingestion.format == "auto" else ingestion.format
        if kind in ("csv", "sheet"):
            with formats.as_text(content, kind, stated) as text:
                return _of_text(text, options)
    return *_of_values(_values(ingestion, password), stated), frozenset()


def _values(ingestion: DataIngestion, password: str) -> pd.DataFrame:
    """Read a file with types, and columns in which texts stand beside numbers as texts."""
    try:
        return read.read(ingestion, password).frame
    except MixedTypesError as error:
        texts = ingestion.reader.model_copy(update={"columns": dict.fromkeys(error.columns, CellFormat())})
        return read.read(ingestion.model_copy(update={"reader": texts}), password).frame


def _of_values(frame: pd.DataFrame, stated: Reader) -> tuple[Reader, tuple[Choice, ...]]:
    """Decide how the texts of a file with types, such as JSON or Parquet, are read, and which numbers are dates."""
    names = [str(name) for name in frame.columns]
    texts = [name for name in names if pd.api.types.is_string_dtype(frame[name])]
    cells = {name: frame[name].dropna().astype(str).tolist() for name in texts}
    cells |= {name: _digits(frame[name]) for name in names if name not in texts}
    spelled = value_formats.inspect({name: column for name, column in cells.items() if column})
    columns = {
        name: cell_format
        for name, cell_format in spelled.columns.items()
        if name in texts or cell_format.kind in ("date", "epoch")
    }
    return stated.model_copy(update={"columns": columns, "missing": spelled.missing}), spelled.decisions


def _digits(values: pd.Series) -> list[str]:
    """Return whole numbers as text; nothing of a column that holds anything else."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return []
    present = values.dropna()
    return [str(int(value)) for value in present] if (present % 1 == 0).all() else []


def _of_text(content: Content, options: InitOptions) -> tuple[Reader, tuple[Choice, ...], frozenset[str]]:
    with content.opened() as counted:
        sample = io.BufferedReader(counted).read(SAMPLE_BYTES)
    written = csv_dialect.inspect(
        sample, len(sample) < SAMPLE_BYTES, csv_dialect.Stated(options.encoding, options.separator, options.skip)
    )
    if options.header is not None and options.header != written.header:
        written = replace(written, header=options.header)
    heads, renamed = _heads(written, options)
    complete = [row for row in written.values if len(row) == len(heads)]
    cells = list(map(list, zip(*complete, strict=True))) or [[] for _ in heads]
    columns: dict[str, list[str]] = dict(zip(heads, cells, strict=True))
    spelled = value_formats.inspect(columns, options.target, options.missing)
    heads = [head.strip() for head in heads] if spelled.trim and (renamed or options.names) else heads
    reader = Reader(
        separator=written.separator,
        header=written.header,
        names=tuple(heads) if renamed or options.names else (),
        encoding=written.encoding,
        missing=spelled.missing,
        quote=written.quote or "",  # type: ignore[arg-type]
        escape=written.escape,  # type: ignore[arg-type]
        trim=spelled.trim,
        skip=written.skip,
        footer=written.footer,
        comment=written.comment,
        sheet=options.sheet,
        columns=dict(spelled.columns),
    )
    return reader, (*written.decisions, *renamed, *spelled.decisions), spelled.plain


def rows(ingestion: DataIngestion, plain: frozenset[str], password: str) -> tuple[Rows, Reader]:
    """Read all rows; of the columns that were plain in the sample, only those that are not so keep their format."""
    columns = ingestion.reader.columns
    described = {name: cell_format for name, cell_format in columns.items() if name not in plain}
    table, reader = _described(ingestion, described, password)
    if odd := {name: columns[name] for name in plain if not _as_expected(table.frame[name], columns[name])}:
        return _described(ingestion, described | odd, password)
    return table, reader


def _described(ingestion: DataIngestion, columns: dict[str, CellFormat], password: str) -> tuple[Rows, Reader]:
    reader = ingestion.reader.model_copy(update={"columns": columns})
    return read.read(ingestion.model_copy(update={"reader": reader}), password), reader


def _as_expected(values: pd.Series, described: CellFormat) -> bool:
    """Tell whether a column that was read without its format holds what the format says."""
    if described.kind == "number":
        return pd.api.types.is_numeric_dtype(values) and not np.isinf(values).any()
    present = values.dropna().astype(str)
    return bool(pd.to_datetime(present, format="ISO8601", errors="coerce", utc=True).notna().all())


def checked(table: Rows, reader: Reader, options: InitOptions) -> tuple[pd.DataFrame, Reader, tuple[Choice, ...]]:
    """Say which cells are odd, and find sentinels."""
    frame, columns = table.frame, dict(reader.columns)
    decisions = []
    for name, odd in table.odd.items():
        examples = ", ".join(map(repr, odd.examples[:3]))
        kind = columns[name].kind
        look = f"{name}: {odd.count} of {len(frame)} cells are no {kind}, such as {examples}: they are missing"
        decisions.append(
            Choice(name, f"{odd.count} odd cells are missing", f"nearly all are a {columns[name].kind}", look)
        )
    numbers = [name for name in frame.columns if name not in options.keep]
    target = target_column.choose(frame, options.target)
    markers = {name: [value] for name, value in sentinels.find(frame[numbers]).items()}
    if target in numbers:
        markers[target] = list(dict.fromkeys([*markers.get(target, []), *sentinels.impossible(frame[target])]))
    for name, values in markers.items():
        for value in values:
            described = columns.get(name, CellFormat(kind="number"))
            columns[name] = described.model_copy(update={"missing": (*described.missing, f"{value:.15g}")})
            decisions.append(_sentinel(frame[name], value))
            frame = sentinels.without(frame, {name: value})
    columns = {name: _spare(described, name in table.odd) for name, described in columns.items()}
    return frame, reader.model_copy(update={"columns": columns}), tuple(decisions)


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


def _heads(written: csv_dialect.Dialect, options: InitOptions) -> tuple[list[str], list[Choice]]:
    """Return the names of the columns: the stated, those of the header, or numbers where there are none."""
    width = len(written.rows[0]) if written.rows else 0
    if options.names:
        if len(options.names) != width:
            raise DataError(
                f"--names gives {len(options.names)} names, the file has {width} columns", "name each column, in order"
            )
        return list(options.names), []
    names = written.rows[0] if written.header else [""] * width
    if written.header and not names[0].strip() and width > 1:
        names = [ROW_NUMBERS, *names[1:]]  # as pandas calls it
    heads: list[str] = []
    for number, name in enumerate(names, 1):
        unnamed = not name.strip() and (number > 1 or not written.header)
        heads.append(unnamed_column(number) if unnamed else f"{name}_{number}" if name in heads else name)
    invented = [head for head, name in zip(heads, names, strict=True) if head != name]
    if not written.header and heads:
        look = "the columns have made up names: --names A,B,... gives better ones, which clients of the service use too"
        return heads, [Choice("names", f"{heads[0]} to {heads[-1]}", "there is no header", look)]
    if written.decisions[-1].about == "row names":
        return heads, [Choice("names", f"{ROW_NUMBERS}, {', '.join(heads[1:3])}, ...", "the first column has no name")]
    if not invented:
        return heads, []
    look = f"the header lacks names or repeats them: {', '.join(invented[:5])} are made up; write better ones"
    return heads, [Choice("names", ", ".join(invented[:3]), "the header has none, or has them twice", look)]
