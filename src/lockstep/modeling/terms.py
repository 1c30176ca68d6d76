"""TF-IDF and a linear model in one pass over a text, without a matrix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row
from lockstep.features.text import tokenizer

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
UNKNOWN = -1
EMPTY = -1
CHUNK = 500
"""Texts weighed at once: enough to spread the cost of each step, few enough to stay in the processor's cache."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Terms:
    """A text column's fitted `TextTfidf` with the weights (terms, outputs) that a linear model gives its terms."""

    place: int
    clean: tuple[str, ...]
    ngrams: tuple[int, ...]
    sublinear: bool
    words: tuple[str, ...]
    keys: tuple[Ids, ...]
    idf: Floats
    weights: Floats

    def add_to(self, scores: Floats, rows: Sequence[Row]) -> None:
        """Add what the text of each row weighs to scores (rows, outputs)."""
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            scores[part] += self._weigh([row[self.place] for row in rows[part]])

    @cached_property
    def _tokens(self) -> Callable[[str | None], list[str]]:
        return tokenizer(self.clean)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _offsets(self) -> list[int]:
        return np.cumsum([0, *map(len, self.keys)]).tolist()

    @cached_property
    def _singles(self) -> Ids:
        """Map each word's number to its term, or to `UNKNOWN`."""
        places = np.full(len(self.words), UNKNOWN)
        for length, keys in zip(self.ngrams, self.keys, strict=True):
            if length == 1:
                places[keys] = np.arange(len(keys))
        return places

    @cached_property
    def _tables(self) -> list["Table"]:
        return [Table(keys) for keys in self.keys]

    def _weigh(self, texts: Sequence[float | str | None]) -> Floats:
        """Return the weight of each text in each output: its terms weighed by TF-IDF, scaled to length 1."""
        cells = self._cells(texts)
        if len(texts) == 1:
            return self._weigh_one(cells)
        starts = np.flatnonzero(np.concatenate((_FIRST, cells[1:] != cells[:-1]))) if len(cells) else cells
        owners, terms = np.divmod(cells[starts], len(self.idf))
        counts = np.diff(starts, append=len(cells)).astype(np.float64)
        tfidf = (1 + np.log(counts) if self.sublinear else counts) * self.idf[terms]
        squares = np.bincount(owners, tfidf * tfidf, minlength=len(texts))
        norms = np.sqrt(np.where(squares > 0, squares, 1.0))
        weighed = tfidf[:, None] * self.weights[terms]
        sums = [np.bincount(owners, column, minlength=len(texts)) for column in weighed.T]
        return np.stack(sums, axis=1) / norms[:, None]

    def _weigh_one(self, terms: Ids) -> Floats:
        """Do the same for a lone text, in fewer steps."""
        if not len(terms):
            return np.zeros((1, self.weights.shape[1]))
        starts = np.flatnonzero(np.concatenate((_FIRST, terms[1:] != terms[:-1])))
        counts = np.diff(starts, append=len(terms)).astype(np.float64)
        distinct = terms[starts]
        tfidf = (1 + np.log(counts) if self.sublinear else counts) * self.idf[distinct]
        weighed: Floats = (tfidf @ self.weights[distinct]) / np.sqrt(tfidf @ tfidf)
        return weighed[None, :]

    def _cells(self, texts: Sequence[float | str | None]) -> Ids:
        """Return every occurrence of a term in a text as one number, text * terms + term, sorted."""
        tokens = [self._tokens(text if isinstance(text, str) else None) for text in texts]
        lengths = [len(own) for own in tokens]
        ids = np.fromiter(map(self._numbers.get, chain.from_iterable(tokens), repeat(UNKNOWN)), np.int64, sum(lengths))
        firsts = np.repeat(np.arange(len(texts)) * len(self.idf), lengths)
        found = [self._find(ids, firsts, place) for place, length in enumerate(self.ngrams) if 0 < length <= len(ids)]
        cells = np.concatenate(found) if found else ids[:0]
        cells.sort()
        return cells

    def _find(self, ids: Ids, firsts: Ids, place: int) -> Ids:
        """Return the cells of one length: an n-gram's key has its words' numbers as digits, as in `TextTfidf`."""
        length = self.ngrams[place]
        last = len(ids) - length + 1
        grams, whole = ids[:last], ids[:last] >= 0
        for start in range(1, length):
            part = ids[start : start + last]
            whole = whole & (part >= 0) & (firsts[:last] == firsts[start : start + last])
            grams = grams * len(self.words) + part
        grams, firsts = grams[whole], firsts[:last][whole]
        terms = self._singles[grams] if length == 1 else self._tables[place].find(grams)
        known = terms >= 0
        return firsts[known] + terms[known] + self._offsets[place]


class Table:
    """A hash table from whole numbers of 0 and more to their places, looked up many at once.

    Four slots or more for each key, multiplicative hashing (Knuth 1973, 6.4) and linear probing: most keys are found at
    their first look, where a binary search in as many keys goes to memory a dozen times.
    """

    def __init__(self, keys: Ids) -> None:
        bits = max(4, int(4 * len(keys) - 1).bit_length())
        self._shift = np.uint64(64 - bits)
        self._last = (1 << bits) - 1
        self._keys = np.full(1 << bits, EMPTY)
        self._places = np.zeros(1 << bits, np.int32)
        left = np.arange(len(keys), dtype=np.int64)
        slots = self._slots(keys)
        while len(left):
            free = self._keys[slots] == EMPTY
            taken, first = np.unique(np.where(free, slots, -1), return_index=True)
            first = first[taken >= 0]
            self._keys[slots[first]] = keys[left[first]]
            self._places[slots[first]] = left[first]
            left = np.delete(left, first)
            slots = (np.delete(slots, first) + 1) & self._last

    def find(self, keys: Ids) -> Ids:
        """Return the place of each key, or `UNKNOWN`."""
        slots = self._slots(keys)
        there = self._keys[slots]
        places = np.where(there == keys, self._places[slots], UNKNOWN)
        left = np.flatnonzero((there != keys) & (there != EMPTY))
        slots = slots[left]
        while len(left):
            slots = (slots + 1) & self._last
            there, own = self._keys[slots], keys[left]
            places[left] = np.where(there == own, self._places[slots], UNKNOWN)
            on = (there != own) & (there != EMPTY)
            left, slots = left[on], slots[on]
        return places

    def _slots(self, keys: Ids) -> Ids:
        return ((keys.astype(np.uint64) * GOLDEN) >> self._shift).astype(np.int64)


_FIRST = np.ones(1, dtype=bool)
