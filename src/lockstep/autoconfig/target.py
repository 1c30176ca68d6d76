"""Which column is the target: the named one, or a question that lists the likely ones."""

import pandas as pd

from lockstep.errors import DataError, QuestionError, nearest


def choose(frame: pd.DataFrame, stated: str | None) -> str:
    """Return the target by its name or its place from 1 on. Raises DataError: none was named, or none is there."""
    names = [str(name) for name in frame.columns]
    if stated in names:
        return str(stated)
    if stated and stated.isdecimal() and 1 <= int(stated) <= len(names):
        return names[int(stated) - 1]
    listed = "; ".join(f"{position} {name} ({examples(frame[name])})" for position, name in _likely(frame))
    if stated is None:
        raise QuestionError(
            "which column is to be predicted?", f"say --target with a name or a number, such as {listed}"
        )
    raise DataError(
        f"target column {stated!r} not found{nearest(stated, names)}",
        f"--target takes a name or a number: {listed}; --names A,B,... names the columns of a file without a header",
    )


def _likely(frame: pd.DataFrame) -> list[tuple[int, str]]:
    """Return the columns that a person most often wants to predict: few classes, from the right."""
    numbered = [(position, str(name)) for position, name in enumerate(frame.columns, 1)]
    fits = [(position, name) for position, name in numbered if 2 <= frame[name].nunique() <= max(20, 0.01 * len(frame))]
    return [*reversed(fits), *reversed([entry for entry in numbered if entry not in fits])][:8]


def examples(values: pd.Series) -> str:
    """Return a few values of a column as they are shown."""
    shown = [str(value)[:16] for value in values.dropna().unique()[:3]]
    return ", ".join(shown)


def described(frame: pd.DataFrame, target: str) -> str:
    """Return a few values of the target, and how many rows have none."""
    missing = int(frame[target].isna().sum())
    return f"{examples(frame[target])}, ..." + (f"; {missing} rows without it are dropped" if missing else "")
