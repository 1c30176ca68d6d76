"""Parquet files: tables between the stages, the same bytes for the same rows.

The pipeline has pyarrow and a server's image has not, so it is imported where it is used.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lockstep import files
from lockstep.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def require() -> Any:
    """Return pyarrow's module for Parquet files. Raises DataError: pyarrow is not installed."""
    try:
        return importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("pyarrow"):
            raise
        raise DataError("Parquet needs pyarrow, which is not installed here", "use .csv, or install pyarrow") from None


def write(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as Parquet. Raises DataError: a column holds values of several types."""
    import pyarrow as pa

    try:
        with files.atomic(path) as partial:
            table.to_parquet(partial, index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"a column mixes types: {error}", "clean the column at its source") from None


def read(path: Path) -> "pd.DataFrame":
    """Read a table of the pipeline. Raises DataError: the file is missing or damaged."""
    import pandas as pd
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
        pa.default_memory_pool().release_unused()  # Arrow would keep what it read from as room for more
        return table
    except FileNotFoundError:
        raise DataError(f"{path} not found", "run `dvc repro`, which writes it, or `dvc pull`") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is damaged: {error}", "remove it and run `dvc repro`") from None
