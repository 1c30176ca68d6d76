"""Names of months and weekdays in common languages, as numbers before a date is read, and units of durations."""

import re
import tomllib
from functools import lru_cache
from pathlib import Path

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
MONTHS: list[str] = _LISTS["months"]
SECONDS: dict[str, float] = _LISTS["seconds"]
NUMBERS = {word: f"{month:02d}" for month, words in enumerate(MONTHS, 1) for word in words.split()}
WEEKDAYS = frozenset(word for words in _LISTS["days"] for word in words.split())
WORD = re.compile(r"([^\W\d_]+(?:-feira)?)(\.(?=\s|$))?")
FRONT = re.compile(r"^([^\W\d_]+(?:-feira)?)\.?,?\s+(?=\S)")


@lru_cache(65536)
def with_numbers(text: str) -> str:
    """Return a date with its weekday in front left out and the name of its month as a number of two digits."""
    front = FRONT.match(text)
    if front and front[1].casefold() in WEEKDAYS and re.search(r"[^\W\d_]{3}", text[front.end() :]):
        text = text[front.end() :]
    return WORD.sub(lambda word: NUMBERS.get(word[1].casefold(), word[0]), text)
