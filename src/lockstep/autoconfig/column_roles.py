"""Which role a column plays, told by its values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep.autoconfig import texts
from lockstep.config.params import Role
from lockstep.data.cleaning import LONG_TEXT, suggest_kind
from lockstep.data.schema import ROW_NUMBERS

IDENTIFIER = re.compile(r"(?i:(^|[_\W])(p?id|uuid|guid|key|index|rownum|row|nr|no|number)$|^id[_\W])|[a-z]I[Dd]$")
GROUP = re.compile(r"(?i:(^|[_\W])id$)|[a-z]I[Dd]$")
FEW = 50
FEW_SETS = 8  # Of fewer different cells with several values each, every one may as well be a category.
ROWS_OF_GROUP, MOST_COMPARED = 5, 60
# A text has so many words on average, and so large a share of its values is different from the others.
WORDS, TEXT_SHARE = 4, 0.5
SPARSE = 0.02  # A column of which a smaller share is filled teaches nothing that lasts.
MANY = 0.5  # Codes of which more than this share are different name the row rather than describe it.


@dataclass(frozen=True)
class ColumnRole:
    """The role of a column and why; `notable` if a person should read it."""

    role: Role
    why: str
    notable: bool = False


def roles(frame: pd.DataFrame, target: str) -> dict[str, ColumnRole]:
    """Return the role of each column but the target."""
    return {str(name): role(frame[name]) for name in frame.columns if name != target}


def role(values: pd.Series) -> ColumnRole:
    """Return the role of one column."""
    name, present = str(values.name), values.dropna()
    distinct = int(present.nunique())
    if distinct == 0:
        return ColumnRole("ignore", "it holds no value", notable=True)
    if len(present) < SPARSE * len(values) and len(values) >= 100:
        return ColumnRole("ignore", f"missing in {1 - len(present) / len(values):.1%} of the rows", notable=True)
    if distinct == 1:
        if len(present) < len(values):
            return ColumnRole("categorical", "one value, or missing")
        return ColumnRole("ignore", f"every row says {str(present.iloc[0])[:20]!r}", notable=True)
    if name == ROW_NUMBERS:
        return ColumnRole("id", "numbers of rows, without a name", notable=True)
    if types.is_bool_dtype(values):
        return ColumnRole("categorical", "true or false")
    if types.is_numeric_dtype(values):
        return _of_numbers(name, present, distinct)
    return _of_texts(name, present.astype(str) if suggest_kind(values) != "date" else present, distinct, values)


def _of_numbers(name: str, present: pd.Series, distinct: int) -> ColumnRole:
    whole = bool((present % 1 == 0).all())
    unique = distinct == len(present)
    if whole and unique and len(present) >= 20:
        if IDENTIFIER.search(name):
            return ColumnRole("id", "a whole number of its own in each row", notable=True)
        if (present.diff().dropna() == 1).all():
            return ColumnRole("id", "it counts the rows", notable=True)
    if whole and GROUP.search(name) and not unique:
        if distinct > FEW:
            return ColumnRole("id", f"it names {distinct} things that have rows of their own", notable=True)
        return ColumnRole("categorical", f"it names one of {distinct}")
    return ColumnRole("numeric", "numbers")


def _of_texts(name: str, present: pd.Series, distinct: int, values: pd.Series) -> ColumnRole:
    if suggest_kind(values) == "date":
        return ColumnRole("date", "dates")
    share = distinct / len(present)
    if distinct > 20 and texts.are_links(present):
        return ColumnRole("ignore", f"links or file names, such as {present.iloc[0][:40]!r}", notable=True)
    if distinct > FEW_SETS and (parts := texts.items(present)):
        why = f"several of {parts.distinct} values in one cell, between {parts.separator!r}"
        return ColumnRole("text", why, notable=True)
    sample = present.head(5000)
    words, length = sample.str.count(r"\S+").mean(), sample.str.len().mean()
    if length >= LONG_TEXT or (words >= WORDS and share >= TEXT_SHARE):
        return ColumnRole("text", f"{words:.0f} words on average")
    if share >= TEXT_SHARE and distinct > 20 and length >= 4 and texts.without_blanks(present):
        return ColumnRole("text", f"{length:.0f} characters on average, in a script without blanks", notable=True)
    if len(present) >= 50 and share > MANY and texts.share_words(present):
        return ColumnRole("text", f"short texts of {words:.0f} words, which come again", notable=True)
    if len(present) >= 20 and share == 1:
        return ColumnRole("id", "a text of its own in each row", notable=True)
    if len(present) >= 50 and share > MANY:
        return ColumnRole("id", f"{distinct} different texts in {len(present)} rows", notable=True)
    return ColumnRole("categorical", f"{distinct} different texts")


def groups(frame: pd.DataFrame, roles: Mapping[str, ColumnRole], target: str) -> list[str]:
    """Return columns that identify somebody or something with several rows each, by their name or by structure.

    By structure: few values of whole numbers or texts, within each of which another column of many numbers is constant.
    """
    several = [name for name in roles if 5 <= frame[name].nunique() <= 0.6 * len(frame) and name != target]
    numbers = [name for name in several if types.is_float_dtype(frame[name]) or types.is_integer_dtype(frame[name])]
    columns = {name: frame[name].to_numpy() for name in numbers[:MOST_COMPARED]}
    return [name for name in several if GROUP.search(name) or _identifies(frame[name], columns)]


def _identifies(values: pd.Series, columns: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether each value has several rows, in which another column of many numbers does not change."""
    if types.is_float_dtype(values) or values.isna().any() or values.nunique() > len(values) / ROWS_OF_GROUP:
        return False
    codes, distinct = pd.factorize(values)
    if np.bincount(codes).min() < 2:
        return False
    first = np.zeros(len(distinct), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    others = (other for name, other in columns.items() if name != values.name)
    return any(_same(other, other[first[codes]]) and len(np.unique(other)) >= 0.4 * len(distinct) for other in others)


def _same(values: NDArray[Any], others: NDArray[Any]) -> bool:
    return bool(((values == others) | ((values != values) & (others != others))).all())
