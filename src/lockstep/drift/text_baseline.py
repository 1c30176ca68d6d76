"""Baseline vocabulary of texts: a Bloom filter of words, and the counts of frequent terms."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from lockstep.features.tokenizer import tokenizer

MOST_TEXTS = 20_000
MOST_WORDS = 60_000
MOST_TERMS = 500
LEAST_TEXTS = 2
BITS_PER_WORD, HASHES = 10, 7  # One in a hundred unknown words passes for known, in the baseline as in the window.


class Vocabulary(msgspec.Struct, dict=True, frozen=True):
    """The words of `rows` texts: a Bloom filter of those in two texts or more, and in how many the frequent ones stood.

    A filter takes ten bits a word where a list takes eighty (Bloom 1970; two hashes make all, Kirsch and Mitzenmacher
    2008).
    """

    rows: int
    clean: list[str]
    filter: str
    terms: dict[str, int]

    @classmethod
    def from_texts(cls, texts: Sequence[str], clean: Sequence[str]) -> "Vocabulary":
        """Learn from texts, at most 20,000 of them, evenly spaced."""
        step = max(1, -(-len(texts) // MOST_TEXTS))
        read = tokenizer(clean)
        chosen = texts[::step]
        held = Counter(chain.from_iterable(set(read(text)) for text in chosen))
        often = sorted(((count, word) for word, count in held.items() if count >= LEAST_TEXTS), key=_by_frequency)
        vocabulary = [word for _, word in often[:MOST_WORDS]]
        terms = {word: count for count, word in often[:MOST_TERMS]}
        return cls(len(chosen), list(clean), base64.b64encode(_filter(vocabulary)).decode(), terms)

    @cached_property
    def read(self) -> Callable[[str | None], list[str]]:
        """What finds the words of a text."""
        return tokenizer(self.clean)

    @cached_property
    def _bits(self) -> NDArray[np.bool_]:
        return np.unpackbits(np.frombuffer(base64.b64decode(self.filter), dtype=np.uint8)).astype(bool)

    def unknown(self, texts: Iterable[Sequence[str]]) -> list[float]:
        """Return for each text, given as its words, the share that the train texts did not hold; none without words."""
        held = [words for words in texts if words]
        distinct = sorted(set(chain.from_iterable(held)))
        hits = self._bits[_bit_indices(distinct, len(self._bits))].sum(axis=1)
        is_known = dict(zip(distinct, (hits == HASHES).tolist(), strict=True))
        return [sum(not is_known[word] for word in words) / len(words) for words in held]


def _by_frequency(pair: tuple[int, str]) -> tuple[int, str]:
    return -pair[0], pair[1]


def _filter(words: Sequence[str]) -> bytes:
    bits = np.zeros(-(-max(1, len(words)) * BITS_PER_WORD // 8) * 8, dtype=bool)
    bits[_bit_indices(words, len(bits))] = True
    return np.packbits(bits).tobytes()


def _bit_indices(words: Sequence[str], bits: int) -> NDArray[np.int64]:
    """Return the bit indices (words, hashes) of words in a filter of so many bits."""
    drawn = b"".join(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in words)
    first, second = np.frombuffer(drawn, dtype="<u4").reshape(-1, 2).T.astype(np.int64)
    return (first[:, None] + np.arange(HASHES) * (second[:, None] | 1)) % bits
