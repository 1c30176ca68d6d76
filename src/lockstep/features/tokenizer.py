"""From text to words: the one implementation that training and serving share."""

import html
import re
import unicodedata
from collections.abc import Callable, Sequence

_TAG = re.compile(r"<[^<>]{1,200}>")
_URL = re.compile(r"(?:https?://|www\.)\S+")
_MENTION = re.compile(r"@\w+")
_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"\w\w+")
# ASCII with a space for every character that stands in no word: splitting such text is three times as fast as `_WORD`,
# and finds the same words.
_APART = bytes(code if chr(code).isalnum() or code == ord("_") else ord(" ") for code in range(128)) + bytes(128)


def _fold_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


# Text steps by name; `clean` lists them in the order they run.
CLEANERS: dict[str, Callable[[str], str]] = {
    "lowercase": str.lower,
    "unescape_html": html.unescape,
    "strip_tags": lambda text: _TAG.sub(" ", text),
    "strip_urls": lambda text: _URL.sub(" ", text),
    "strip_mentions": lambda text: _MENTION.sub(" ", text),
    "strip_digits": lambda text: _DIGITS.sub(" ", text),
    "fold_accents": _fold_accents,
}


def split_items(cell: object, separator: str) -> list[str]:
    """Return the items of a cell with several values, white space as one blank; a missing cell has none."""
    parts = cell.split(separator) if isinstance(cell, str) else []
    return [item for part in parts if (item := " ".join(part.split()))]


def _characters(text: str | None, steps: Sequence[Callable[[str], str]]) -> list[str]:
    cleaned = text if isinstance(text, str) else ""
    for step in steps:
        cleaned = step(cleaned)
    return list(" ".join(cleaned.split()))


def tokenizer(clean: Sequence[str], unit: str = "words") -> Callable[[str | None], list[str]]:
    """Return what cleans a text and finds its words of two letters or more; a missing text has none.

    With the unit `characters` it finds every character instead, white space as one blank.
    """
    steps = [CLEANERS[name] for name in clean]
    if unit == "characters":
        return lambda text: _characters(text, steps)

    def tokens(text: str | None) -> list[str]:
        cleaned = text if isinstance(text, str) else ""
        for step in steps:
            cleaned = step(cleaned)
        if not cleaned.isascii():
            return _WORD.findall(cleaned)
        return [word for word in cleaned.encode().translate(_APART).decode().split() if len(word) > 1]

    return tokens
