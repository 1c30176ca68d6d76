"""What of a row the prediction log may hold: all of it, keyed hashes in place of words, or nothing."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from lockstep.config.params import Kind
from lockstep.errors import ConfigError, nearest
from lockstep.prediction_log.records import Scalar

LogRows = Literal["plain", "hashed", "none", "off"]
HASHED: tuple[Kind, ...] = ("text", "categorical")
BYTES = 16


def checked(word: str) -> LogRows:
    """Return the setting LOCKSTEP_LOG_ROWS. Raises ConfigError: it is none of the four words."""
    for accepted in get_args(LogRows):
        if word == accepted:
            return accepted
    words = get_args(LogRows)
    raise ConfigError(f"LOCKSTEP_LOG_ROWS = {word!r}{nearest(word, words)}", f"accepted: {', '.join(words)}")


def hashed(word: str, secret: bytes) -> str:
    """Return what stands for a word: the same word gives the same, and without the secret nobody can try words out."""
    content = word.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, key=secret, digest_size=BYTES).hexdigest()


def hider(kinds: Sequence[Kind], secret: bytes) -> Callable[[Sequence[Scalar]], list[Scalar]]:
    """Return what hides the words of a row, given the kinds of its columns in order; a missing value stays missing."""
    words = [kind in HASHED for kind in kinds]

    def hide(row: Sequence[Scalar]) -> list[Scalar]:
        return [
            hashed(str(value), secret) if word and value is not None else value
            for value, word in zip(row, words, strict=True)
        ]

    return hide


def secret_of(text: str) -> bytes:
    """Return the key of the hashes that follows from the server's secret."""
    return hashlib.blake2b(text.encode(), person=b"prediction log", digest_size=32).digest()
