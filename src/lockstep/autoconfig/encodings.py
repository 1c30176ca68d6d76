"""The encoding of a text: byte order mark, UTF-8, or the reading whose letters make words of a language."""

import codecs
import re
from collections import Counter
from dataclasses import dataclass

from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.spellings import SPELLINGS
from lockstep.errors import QuestionError

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
LATIN = {name: tuple(letters) for name, letters in SPELLINGS["latin"].items()}
LATIN |= {name: LATIN[other] for name, other in SPELLINGS["same_letters"].items()}
FREQUENT: dict[str, str] = SPELLINGS["frequent"]
USUAL: dict[str, tuple[int, int]] = {name: (low, high) for name, (low, high) in SPELLINGS["usual"].items()}
HANZI, SIGNS = frozenset(SPELLINGS["characters"]["hanzi"]), frozenset(SPELLINGS["characters"]["signs"])
CLOSE = 0.08  # Readings whose scores differ by less are as likely as each other.
LEAST, RARE = 0.55, 0.25  # What a reading must score, and what an encoding that hardly any file has is set back by.
# Letters of another encoding are hardly ever valid UTF-8: so small a share of lines that are not are the exception.
MIXED = 0.2
WORD = re.compile(r"[^\W\d_]+")
MOST_CHARACTERS = 20_000


@dataclass(frozen=True)
class Reading:
    """A text as an encoding gives it, and how plausible its letters are, from 0 to 1."""

    encoding: str
    text: str
    score: float


def encoding(sample: bytes) -> Choice:
    """Return the encoding of a text from its first bytes. Raises QuestionError: several give likely texts."""
    for mark, name in MARKS:
        if sample.startswith(mark):
            return Choice("encoding", name, "its byte order mark says so")
    for name, places in (("utf-16-le", sample[1:400:2]), ("utf-16-be", sample[0:400:2])):
        if len(places) > 20 and places.count(0) > 0.8 * len(places):
            return Choice("encoding", name, "every second byte is 0")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError as error:
        return _other(sample, error.start)
    return Choice("encoding", "utf-8", "all of it is valid UTF-8")


def _other(sample: bytes, start: int) -> Choice:
    """Return the encoding of a text that is not UTF-8."""
    line = sample.count(b"\n", 0, start) + 1
    _check_not_mixed(sample)
    candidates = readings(sample)
    where = sample[:start].rfind(b"\n") + 1
    examples = {reading.encoding: reading.text for reading in candidates[:4]}
    if not candidates or candidates[0].score < LEAST:
        named = ", ".join(examples) or "latin-1"
        raise QuestionError(
            f"line {line} is not UTF-8, and no other encoding gives words of a language",
            f"say --encoding with the one it was written in, such as {named}",
        )
    rivals = [
        reading
        for reading in candidates[1:]
        if reading.score > candidates[0].score - CLOSE and reading.text != candidates[0].text
    ]
    if rivals:
        shown = "; ".join(f"{reading.encoding}: {_excerpt(reading)!r}" for reading in (candidates[0], *rivals[:3]))
        raise QuestionError(
            f"line {line} is not UTF-8, and several encodings fit: {shown}",
            f"say --encoding {candidates[0].encoding} if its text is the right one, or another",
        )
    excerpt = sample[where : where + 400].split(b"\n")[0].decode(candidates[0].encoding, "replace")[:60]
    look = f"the file is not UTF-8: {candidates[0].encoding} reads line {line} as {excerpt!r}; --encoding says another"
    return Choice("encoding", candidates[0].encoding, f"its letters make words, as in {excerpt!r}", look)


def _check_not_mixed(sample: bytes) -> None:
    """Refuse a text of which most lines with letters beyond ASCII are UTF-8, and a few are not."""
    *lines, last = sample.split(b"\n")
    beyond = {number: _is_utf8(line) for number, line in enumerate(lines, 1) if not line.isascii()}
    if not last.isascii():
        beyond[len(lines) + 1] = _is_utf8(last, complete=False)
    others = [number for number, valid in beyond.items() if not valid]
    if 0 < len(others) < MIXED * len(beyond):
        named = f"line{'s' if len(others) > 1 else ''} {', '.join(map(str, others[:5]))}"
        raise QuestionError(
            f"the file mixes encodings: {named} of {len(beyond)} with letters beyond ASCII are not UTF-8, the rest is",
            "write these lines in UTF-8 too; or say --encoding with the one that all of the file is in",
        )


def _is_utf8(line: bytes, complete: bool = True) -> bool:
    """Tell whether a line is valid UTF-8; one that is not complete may end within a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line, final=complete)
    except UnicodeDecodeError:
        return False
    return True


def readings(sample: bytes) -> list[Reading]:
    """Return the readings of a text that charset-normalizer or a decoder allows, the most plausible first."""
    from charset_normalizer import from_bytes

    names = [*LATIN, *FREQUENT, *USUAL]
    body = sample[: sample.rfind(b"\n") + 1] or sample
    lines = b"\n".join([line for line in body.split(b"\n") if not line.isascii()][:2000])
    allowed = {name for reading in from_bytes(lines, cp_isolation=names, threshold=0.6, preemptive_behaviour=False)
               for name in (reading.encoding, *reading.could_be_from_charset)}  # fmt: skip
    candidates = []
    for name in names:
        try:
            text = lines.decode(name)
        except UnicodeDecodeError:
            continue
        score = _score(text, name) - (0.0 if name in allowed else 0.05) - (RARE if name == "mac_cyrillic" else 0.0)
        candidates.append(Reading(name, text, score))
    return sorted(candidates, key=lambda reading: -reading.score)


def _excerpt(reading: Reading) -> str:
    line = next((line for line in reading.text.split("\n") if not line.isascii()), "")
    start = next((index for index, letter in enumerate(line) if not letter.isascii()), 0)
    return line[max(0, start - 10) : start + 20]


def _score(text: str, encoding: str) -> float:
    """Return how plausible the letters beyond ASCII are."""
    text = text[:MOST_CHARACTERS]
    if encoding in LATIN:
        return _latin(text, LATIN[encoding])
    if encoding in USUAL:
        return _east_asian(text, encoding, *USUAL[encoding])
    return _alphabet(text, FREQUENT[encoding])


def _latin(text: str, languages: tuple[str, ...]) -> float:
    letters = Counter(letter for letter in text if not letter.isascii())
    signs = sum(count for letter, count in letters.items() if letter in SIGNS)
    best = max(sum(count for letter, count in letters.items() if letter.lower() in alphabet) for alphabet in languages)
    odd_case = sum(bool(re.search(r"[a-zß-ÿ][À-ÖØ-Þ]", word)) for word in WORD.findall(text) if not word.isascii())
    return (best + signs) / max(1, letters.total()) - 0.3 * odd_case / max(1, letters.total())


def _alphabet(text: str, frequent: str) -> float:
    """Return the share of letters of one alphabet, in words of it alone and of one case, weighed by their frequency."""
    first = ord(frequent[0]) & ~0xFF
    good = usual = shouted = 0
    total = sum(not letter.isascii() for letter in text)
    for word in WORD.findall(text):
        if word.isascii():
            continue
        in_alphabet = all(first <= ord(letter) < first + 0x100 for letter in word)
        if in_alphabet and (word[1:] == word[1:].lower() or word == word.upper()):
            good += len(word)
            shouted += len(word) if len(word) > 1 and word == word.upper() != word.lower() else 0
            usual += sum(letter in frequent for letter in word.lower())
    signs = sum(letter in SIGNS for letter in text)
    frequency = min(1.0, (usual / max(1, good)) / 0.72) ** 2
    return ((good + signs) / max(1, total)) * frequency * (0.8 if shouted > 0.5 * good else 1.0)


def _east_asian(text: str, encoding: str, low: int, high: int) -> float:
    letters = [letter for letter in text if not letter.isascii()]
    good = 0
    for letter in letters:
        code = letter.encode(encoding)
        kana_of_half_width = "\uff61" <= letter <= "\uff9f"
        good += letter in SIGNS or (len(code) > 1 and low <= code[0] <= high and not kana_of_half_width)
    kana = sum("\u3040" <= letter <= "\u30ff" for letter in letters)
    if encoding in ("cp932", "euc_jp") and kana < 0.1 * len(letters):
        return 0.7 * good / max(1, len(letters))
    share = good / max(1, len(letters))
    if encoding in ("gb18030", "big5"):
        common = sum(letter in HANZI for letter in letters) / max(1, len(letters))
        return share * (0.7 + 0.3 * min(1.0, common / 0.15))
    return share
