"""Tables between the stages: Parquet, the same bytes for the same rows."""

from pathlib import Path

import pandas as pd

from lockstep import files
from lockstep.errors import DataError


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet.

    Raises
    ------
    DataError
        A column holds values of several types.
    """
    import pyarrow as pa

    try:
        with files.atomic(path) as partial:
            table.to_parquet(partial, index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"a column mixes types: {error}", "clean the column at its source") from None


def read(path: Path) -> pd.DataFrame:
    """Read a table of the pipeline.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
        pa.default_memory_pool().release_unused()  # Arrow would keep what it read from as room for more
        return table
    except FileNotFoundError:
        raise DataError(f"{path} not found", "run `dvc repro`, which writes it, or `dvc pull`") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is damaged: {error}", "remove it and run `dvc repro`") from None
