"""Raw data: what ingestion writes into `data/raw/`, and all that preprocessing reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lockstep import files, paths
from lockstep.config.params import DataIngestion, Rule, Split
from lockstep.data import contract, parquet
from lockstep.data.sources import read
from lockstep.data.sources.read import Rows
from lockstep.errors import DataError


@dataclass(frozen=True)
class RawData:
    """Rows of the source with feedback at their end, where they come from, test rows, and accepted contract rules.

    `test_rows` are those of a test source; they have no column where there is none.
    """

    rows: pd.DataFrame
    origin: Mapping[str, Any]
    test_rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    rules: Mapping[str, Rule] = field(default_factory=dict)

    def write(self) -> None:
        """Write `data/raw/`."""
        parquet.write(self.rows, paths.RAW)
        parquet.write(self.test_rows, paths.RAW_TEST)
        files.write_json(self.origin, paths.SOURCE)
        contract.write(self.rules, self.origin["source"], paths.RAW_CONTRACT)

    @classmethod
    def load(cls, split: Split) -> "RawData":
        """Read `data/raw/`. Raises DataError: a file is missing, damaged, or not of the split's test rows."""
        rows, test_rows, origin = parquet.read(paths.RAW), parquet.read(paths.RAW_TEST), files.read_json(paths.SOURCE)
        recorded = origin.get("test_source", {})
        if split.path and recorded != (expected := test_origin(split.test_ingestion(), recorded)):
            raise DataError(
                f"{paths.RAW_TEST} is not {split.path!r} as data_preprocessing.split now reads it: "
                f"{recorded or 'nothing'} was read, not {expected}",
                "run `dvc repro --force data_ingestion`, or name the file under data_ingestion.test_source, which DVC "
                "watches",
            )
        return cls(rows, origin, test_rows, contract.accepted(origin["source"], paths.RAW_CONTRACT))


def read_test_rows(ingestion: DataIngestion, columns: pd.Index, password: str) -> Rows:
    """Read the test source in the train rows' column order. Raises DataError: it is unreadable or lacks a column."""
    rows = read.read(ingestion, password)
    if missing := [str(name) for name in columns if name not in rows.frame.columns]:
        raise DataError(
            f"{ingestion.named} has no column {missing[0]!r}, which the train rows have",
            "the source of the test rows needs the columns of data_ingestion.source",
        )
    return Rows(rows.frame[list(columns)], rows.digest, rows.origin, rows.columns, rows.odd)


def test_origin(ingestion: DataIngestion, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a test source: its name, how it is read, and the `rows` and `sha256` of its content."""
    reader = ingestion.reader.model_dump(exclude_defaults=True, mode="json")
    measured = {name: content[name] for name in ("rows", "sha256") if name in content}
    return {"source": ingestion.named, "reader": reader, **measured}
