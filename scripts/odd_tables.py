"""Random tables as people bring them, each in an odd form and in a clean one with the same rows."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockstep.config.params import Role, Task
from scripts import spreadsheets
from scripts.odd_columns import KINDS, SCRIPTS, Column, Draw, Floats, Script, plain, spell

TEST_ROWS = 2500
"""At least 2,000 are left if some are duplicates of others."""
MOST_COLUMNS = 40
NAMES = ("amount", "size", "Größe", "class", "prediction", "rows", "csrf_token", "a b", "x.y", "price (€)", "weight",
         "数量", "цена", "type", "f1", "score", "%", "note: long", "self", "Ort")  # fmt: skip
LABELS = (("no", "yes"), ("legit", "fraud"), ("0", "1"), ("false", "true"), ("nein", "ja"), ("b", "a"), ("-1", "1"))
CLASSES = ("low", "medium", "high", "A1", "B2", "C3", "zero", "other")
MARKERS: dict[Role, tuple[str, ...]] = {
    "numeric": ("", "NA", "?", "-", "n/a", "unknown", "k.A.", "."),
    "date": ("", "NA", "?", "-", "n/a"),
    "categorical": ("", "NA", "?", "N/A"),
    "text": ("",),
}
ODD = ("see note", "pending", "~", "ask Ann", "tbd", "over", "x", ">5?", "31.31.20")
FORMS = {"csv": 12, "xlsx": 2, "ods": 1, "jsonl": 2, "json": 1}
TITLES = ("Report of sales 2024\n\n", "sep={separator}\n", "# exported 2024-01-01\n# by a tool\n")


@dataclass(frozen=True)
class Table:
    """Columns by name, the target with its cells, and how a file of them is written; the train rows come first."""

    columns: dict[str, Column]
    target: str
    task: Task
    labels: Sequence[Any]
    label_cells: Sequence[Any]
    train_rows: int
    form: str
    separator: str = ","
    encoding: str = "utf-8"
    newline: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    title: str = ""
    total: bool = False

    def write_odd(self, folder: Path) -> tuple[Path, Path]:
        """Write the files of train and test rows as a person would."""
        parts = {"train": range(self.train_rows), "test": range(self.train_rows, len(self.labels))}
        ending = self.form if self.form != "csv" else "tsv" if self.separator == "\t" else "csv"
        paths = {name: folder / f"{name}.{ending}" for name in parts}
        for name, rows in parts.items():
            self._write(paths[name], rows)
        return paths["train"], paths["test"]

    def _write(self, path: Path, rows: range) -> None:
        lines = [self._cells(index) for index in rows]
        if self.form in ("xlsx", "ods"):
            spreadsheets.write(path, "Tabelle 1", [[*self.columns, self.target], *lines])
            return
        if self.form in ("json", "jsonl"):
            objects = [dict(zip([*self.columns, self.target], line, strict=True)) for line in lines]
            texts = [json.dumps(row, ensure_ascii=False) for row in objects]
            path.write_text("\n".join(texts) if self.form == "jsonl" else f"[{', '.join(texts)}]", encoding="utf-8")
            return
        path.write_bytes(self._csv(lines).encode(self.encoding))

    def _cells(self, index: int) -> list[Any]:
        return [*(column.cells[index] for column in self.columns.values()), self.label_cells[index]]

    def _csv(self, lines: Sequence[Sequence[Any]]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.separator, quoting=self.quoting, lineterminator="\n")  # type: ignore[arg-type]
        writer.writerow([*self.columns, self.target])
        writer.writerows(lines)
        if self.total:
            writer.writerow(["Total", *[""] * len(self.columns)])
        return (self.title.format(separator=self.separator) + text.getvalue()).replace("\n", self.newline)

    def write_clean(self, folder: Path) -> tuple[Path, Path]:
        """Write the same rows as Parquet files: numbers as numbers, dates in ISO 8601, nothing odd."""
        frame = pd.DataFrame(
            {name: _clean(column) for name, column in self.columns.items()} | {self.target: list(self.labels)}
        )
        paths = folder / "clean_train.parquet", folder / "clean_test.parquet"
        frame.iloc[: self.train_rows].to_parquet(paths[0])
        frame.iloc[self.train_rows :].to_parquet(paths[1])
        return paths

    @property
    def roles(self) -> dict[str, Role]:
        """Return the role that a careful person gives each column."""
        return {name: column.role for name, column in self.columns.items()}


def _clean(column: Column) -> Any:
    if column.role == "numeric":
        return np.array([np.nan if value is None else value for value in column.values], dtype=float)
    texts = [None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in column.values]
    return pd.array(texts, dtype="str")


def make(seed: int) -> Table:
    """Return a random table; the same seed gives the same one."""
    draw = np.random.default_rng(seed)
    train_rows, width = int(draw.integers(600, 1500)), int(draw.integers(1, MOST_COLUMNS + 1))
    rows, script = train_rows + TEST_ROWS, SCRIPTS[str(draw.choice(list(SCRIPTS)))]
    columns = dict(_columns(draw, rows, width, script))
    weights = draw.gamma(1, 1, len(columns))
    signal = _scaled(np.sum([w * c.effect for w, c in zip(weights, columns.values(), strict=True)], axis=0))
    score = signal + draw.uniform(0.3, 0.8) * draw.normal(size=rows)
    columns = {name: planted(draw, column) for name, column in columns.items()}
    task, labels, cells = _target(draw, score)
    cells = [None if index < train_rows and flag else c for index, (c, flag) in _gaps(draw, cells)]
    labels = [None if cell is None else label for cell, label in zip(cells, labels, strict=True)]
    form = str(draw.choice(list(FORMS), p=np.array(list(FORMS.values())) / sum(FORMS.values())))
    table = Table(columns, str(draw.choice(["y", "label", "Ziel", "target"])), task, labels, cells, train_rows, form)
    return _dialect(draw, table, script) if form == "csv" else table


def _gaps(draw: Draw, cells: Sequence[Any]) -> Iterator[tuple[int, tuple[Any, bool]]]:
    flags = draw.random(len(cells)) < draw.choice([0, 0, 0.01])
    return enumerate(zip(cells, flags, strict=True))


def _scaled(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / (values.std() or 1.0))


def _columns(draw: Draw, rows: int, width: int, script: Script) -> Iterator[tuple[str, Column]]:
    """Yield named columns; the first holds numbers that hardly ever occur twice, so that few rows are duplicates."""
    shares = np.array([share for _, share in KINDS.values()])
    kinds = ["plain", *draw.choice(list(KINDS), width - 1, p=shares / shares.sum())]
    names = list(draw.permutation(NAMES))
    for index, kind in enumerate(kinds):
        name = str(names.pop()) if names and draw.random() < 0.4 else f"{kind}_{index}"
        yield name, KINDS.get(kind, (plain, 1))[0](draw, rows, script)


def planted(draw: Draw, column: Column) -> Column:
    """Return a column with gaps, and with odd cells where it has numbers or dates."""
    rows, values, cells = len(column.cells), list(column.values), list(column.cells)
    if column.role not in MARKERS:
        return column
    gap = float(draw.choice([0, 0, 0.02, 0.1]))
    odd = float(draw.choice([0, 0.005, 0.03])) if column.role in ("numeric", "date") else 0.0
    marker, words = str(draw.choice(MARKERS[column.role])), draw.choice(ODD, 3)
    chances = draw.random(rows)
    chances[:2] = gap, 0.0  # the train rows have what the test rows have: an odd cell if any, and a gap
    for index, chance in enumerate(chances):
        if chance < gap + odd:
            values[index] = None
            cells[index] = (marker or None) if chance < gap else str(words[draw.integers(3)])
    return replace(column, values=values, cells=cells)


def _target(draw: Draw, score: Floats) -> tuple[Task, Sequence[Any], Sequence[Any]]:
    """Return the task, the labels and their cells."""
    task: Task = ("binary", "binary", "multiclass", "regression")[draw.integers(4)]  # type: ignore[assignment]
    if task == "regression":
        numbers = np.round(500 + 90 * score + 0.5, 2)
        ways = (float, lambda n: spell(n, ",", "."), lambda n: f"${spell(n, '.', ',')}", lambda n: f"{n:.2f} €")
        way = ways[draw.integers(len(ways))]
        return task, numbers.tolist(), [way(number) for number in numbers]
    if task == "binary":
        names: Sequence[str] = LABELS[draw.integers(len(LABELS))]
        shares = np.array([float(draw.choice([0.5, 0.3, 0.1, 0.05]))])
    else:
        names = CLASSES[: int(draw.integers(3, 7))]
        shares = np.cumsum(draw.dirichlet(np.full(len(names), 8.0)))[:-1]
    classes = np.searchsorted(np.quantile(score, 1 - shares[::-1] if task == "binary" else shares), score)
    labels = [names[code] for code in classes]
    shout = draw.random() < 0.3 and all(name.isalpha() for name in names)
    cells = [str(n).upper() if shout and draw.random() < 0.1 else n for n in labels]
    return task, labels, cells


def _dialect(draw: Draw, table: Table, script: Script) -> Table:
    """Return the table with separator, encoding, quotes, line ends and what stands around its rows."""
    separator = str(draw.choice([",", ";", "\t", "|"]))
    title = str(draw.choice(["", "", "", *TITLES]))
    wide = len(table.columns) > 1 or not title
    table = replace(
        table, separator=separator, newline=str(draw.choice(["\n", "\r\n"])), total=bool(draw.random() < 0.1),
        quoting=int(draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])), title=title if wide else "",
    )  # fmt: skip
    encoding = str(draw.choice(["utf-8", "utf-8-sig", "utf-16", *3 * list(script.encodings)]))
    try:
        table._csv([table._cells(index) for index in range(len(table.labels))]).encode(encoding)
    except UnicodeEncodeError:
        return table
    return replace(table, encoding=encoding)
