"""What kind of text a column holds: links, several values in one cell, short texts, scripts without blanks."""

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd

from lockstep.features.tokenizer import split_items

# A link, an address of mail, or the path of a file.
LINK = re.compile(
    r"(?i)(https?://|ftp://|www\.)\S+|[\w.%+-]+@[\w-]+\.[\w.]{2,}|(/|[a-z]:\\|\./)?[\w.-]+([/\\][\w .-]+)+\.\w{2,5}"
)

# Letters of scripts that set no blanks between words, or long ones: of East and South-East Asia.
NO_BLANKS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f\uac00-\ud7af]")
LETTER = re.compile(r"[^\W\d_]")
WORD = re.compile(r"\w\w+")
BARS = ("|", ";", ",", "/")
SAMPLE = 5000
NEARLY_ALL, MANY, HALF = 0.9, 0.3, 0.5
MOST_ITEMS, MOST_WORDS = 1000, 3


@dataclass(frozen=True)
class Items:
    """Several values in one cell: what stands between them, and how many different ones there are."""

    separator: str
    distinct: int


def are_links(present: pd.Series) -> bool:
    """Tell whether nearly all values are links, addresses of mail or paths of files."""
    return bool(present.head(SAMPLE).str.strip().str.fullmatch(LINK).mean() >= NEARLY_ALL)


def without_blanks(present: pd.Series) -> bool:
    """Tell whether a third or more of the letters belong to scripts that set no blanks between words."""
    sample = "".join(present.head(1000))
    return len(NO_BLANKS.findall(sample)) >= MANY * max(1, len(LETTER.findall(sample)))


def items(present: pd.Series) -> Items | None:
    """Return the items of a column with several values in one cell; None if it has one value in each."""
    sample = present.head(SAMPLE)
    for separator in BARS:
        several = sample.str.contains(separator, regex=False)
        if several.mean() < MANY:
            continue
        parts = [item for cell in sample for item in split_items(cell, separator)]
        counts = Counter(parts)
        short = sum(len(part.split()) <= MOST_WORDS and len(part) <= 30 for part in counts)
        again = sum(count for count in counts.values() if count > 1) >= NEARLY_ALL * len(parts)
        if again and short >= NEARLY_ALL * len(counts) and len(counts) <= MOST_ITEMS and len(counts) < sample.nunique():
            return Items(separator, len(counts))
    return None


def share_words(present: pd.Series) -> bool:
    """Tell whether texts of a few words are made of words that come again in others."""
    sample = present.head(SAMPLE)
    words = [set(WORD.findall(cell.lower())) for cell in sample]
    counts = Counter(word for tokens in words for word in tokens)
    total = sum(counts.values())
    if total < 1.5 * len(sample):
        return False
    return sum(count for count in counts.values() if count >= 3) >= HALF * total
