"""pyarrow, where it is installed: the pipeline has it, a server's image has not."""

import importlib
from typing import Any

from lockstep.errors import DataError


def require() -> Any:
    """Return pyarrow's module for Parquet files.

    Raises
    ------
    DataError
        pyarrow is not installed.
    """
    try:
        return importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("pyarrow"):
            raise
        raise DataError("Parquet needs pyarrow, which is not installed here", "use .csv, or install pyarrow") from None
