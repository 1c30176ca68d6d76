"""TF-IDF and a linear model in one pass over a text, without a matrix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row
from lockstep.features.numeric import STACKED_DECIMALS
from lockstep.features.tokenizer import tokenizer

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
EMPTY = -1
# Stands after the last word of a text, and is no word that a model knows: no n-gram runs from one text to the next.
END = ""
# Texts weighed at once: enough to spread the cost of each step, few enough to stay in the processor's cache.
CHUNK = 500
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class TfidfTerms:
    """A text column's fitted `TextTfidf` with the weights (terms, outputs) that a linear model gives its terms."""

    column_index: int
    clean: tuple[str, ...]
    ngrams: tuple[int, ...]
    sublinear: bool
    words: tuple[str, ...]
    keys: tuple[Ids, ...]
    idf: Floats
    weights: Floats
    unit: str = "words"

    def add_to(self, scores: Floats, rows: Sequence[Row]) -> None:
        """Add what the text of each row weighs to scores (rows, outputs)."""
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            scores[part] += self._weigh([row[self.column_index] for row in rows[part]])

    def spread(self, text: str | None) -> tuple[list[str], Floats]:
        """Return the tokens of a text and what each adds to the scores (tokens, outputs).

        What a term adds is shared evenly among its occurrences, and in each among its tokens.
        """
        tokens = self._tokens(text)
        added = np.zeros((len(tokens), self.weights.shape[1]))
        starts, terms, lengths = self._found(tokens)
        if not len(terms):
            return tokens, added
        distinct, occurrence, counts = np.unique(terms, return_inverse=True, return_counts=True)
        factors = 1 + np.log(counts) if self.sublinear else counts.astype(np.float64)
        weighed = factors * self.idf[distinct]
        each = (weighed / np.sqrt(weighed @ weighed) / counts)[:, None] * self.weights[distinct]
        for step in range(max(self.ngrams)):
            inside = step < lengths
            np.add.at(added, starts[inside] + step, (each[occurrence] / lengths[:, None])[inside])
        return tokens, added

    def _found(self, tokens: Sequence[str]) -> tuple[Ids, Ids, Ids]:
        """Return first token, term and length in tokens of each occurrence of a term."""
        ids = np.array([*(self._numbers.get(token, len(self.words)) for token in tokens), len(self.words)], np.int64)
        starts, terms, lengths, offset = [], [], [], 0
        for table, keys, length in zip(self._tables, self.keys, self.ngrams, strict=True):
            positions, indices = table.find(self._grams(ids, length))
            starts.append(positions)
            terms.append(indices + offset)
            lengths.append(np.full(len(indices), length))
            offset += len(keys)
        return np.concatenate(starts), np.concatenate(terms), np.concatenate(lengths)

    @cached_property
    def _tokens(self) -> Callable[[str | None], list[str]]:
        return tokenizer(self.clean, self.unit)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _tables(self) -> list["HashTable"]:
        return [HashTable(self._keys_of(index)) for index in range(len(self.ngrams))]

    @cached_property
    def _squares_and_weights(self) -> Floats:
        """Return for each term, side by side in memory, idf squared and idf times its weight in each output."""
        return np.column_stack((self.idf**2, self.idf[:, None] * self.weights))

    def _weigh(self, texts: Sequence[float | str | None]) -> Floats:
        """Return the weight of each text in each output: its terms weighed by TF-IDF, scaled to length 1."""
        cells = self._cells(texts)
        if not len(cells):
            return np.zeros((len(texts), self.weights.shape[1]))
        bounds = np.concatenate((_EDGE, cells[1:] != cells[:-1], _EDGE)).nonzero()[0]
        starts, counts = bounds[:-1], bounds[1:] - bounds[:-1]
        factors = 1 + np.log(counts) if self.sublinear else counts.astype(np.float64)
        if len(texts) == 1:
            parts = self._squares_and_weights.take(cells.take(starts), axis=0)
            weighed: Floats = (factors @ parts[:, 1:]) / np.sqrt((factors * factors) @ parts[:, 0])
            return weighed[None, :]
        owners, terms = np.divmod(cells[starts], len(self.idf))
        parts = self._squares_and_weights[terms]
        squares = np.bincount(owners, factors * factors * parts[:, 0], minlength=len(texts))
        sums = [np.bincount(owners, factors * column, minlength=len(texts)) for column in parts[:, 1:].T]
        return np.stack(sums, axis=1) / np.sqrt(np.where(squares > 0, squares, 1.0))[:, None]

    def _cells(self, texts: Sequence[float | str | None]) -> Ids:
        """Return every occurrence of a term in a text as one number, text * terms + term, sorted."""
        words = [[*self._tokens(text if isinstance(text, str) else None), END] for text in texts]
        lengths = [len(tokens) for tokens in words]
        unknown = len(self.words)
        ids = np.fromiter(map(self._numbers.get, chain.from_iterable(words), repeat(unknown)), np.int64, sum(lengths))
        firsts = np.repeat(np.arange(len(texts)) * len(self.idf), lengths) if len(texts) > 1 else None
        occurrences, offset = [], 0
        for table, keys, length in zip(self._tables, self.keys, self.ngrams, strict=True):
            positions, terms = table.find(self._grams(ids, length))
            occurrences.append(terms + offset if firsts is None else firsts[positions] + terms + offset)
            offset += len(keys)
        cells = np.concatenate(occurrences)
        cells.sort()
        return cells

    def _grams(self, ids: Ids, length: int) -> Ids:
        """Return the key of each run of words: their numbers as digits, one of which is the unknown word's."""
        grams, last = ids[: len(ids) - length + 1], len(ids) - length + 1
        for start in range(1, length):
            grams = grams * (len(self.words) + 1) + ids[start : start + last]
        return grams

    def _keys_of(self, index: int) -> Ids:
        """Return the keys of one length as `_grams` writes them: `TextTfidf` has no digit for an unknown word."""
        base, length = len(self.words), self.ngrams[index]
        keys = np.zeros(len(self.keys[index]), np.int64)
        for power in range(length - 1, -1, -1):
            keys = keys * (base + 1) + self.keys[index] // base**power % base
        return keys


@dataclass(frozen=True)
class StackedTerms:
    """A text column as the predictions of a `StackedRidge` on its terms, which the weights of the terms give."""

    terms: TfidfTerms

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        return (self.terms.column_index,) * self.terms.weights.shape[1]

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x answers."""
        predicted = np.zeros((len(rows), self.terms.weights.shape[1]))
        self.terms.add_to(predicted, rows)
        return predicted.round(STACKED_DECIMALS)


class HashTable:
    """A hash table from whole numbers of 0 and more to their places, looked up many at once.

    Multiplicative hashing (Knuth 1973, 6.4) into at least as many buckets as keys, each as wide as the fullest: a look
    goes to memory once, where a binary search in as many keys goes there a dozen times.
    """

    def __init__(self, keys: Ids) -> None:
        bits = max(4, (len(keys) - 1).bit_length())
        self._shift = np.uint64(64 - bits)
        buckets = self._buckets(keys)
        order = np.argsort(buckets, kind="stable")
        sizes = np.bincount(buckets, minlength=1 << bits)
        ranks = np.arange(len(keys)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self._width = max(1, int(sizes.max()))
        self._keys = np.full((1 << bits, self._width), EMPTY)
        self._places = np.zeros(self._keys.size, np.int64)
        self._keys[buckets[order], ranks] = keys[order]
        self._places[buckets[order] * self._width + ranks] = order

    def find(self, keys: Ids) -> tuple[Ids, Ids]:
        """Return which of the keys are here, by position, and the place of each of these."""
        buckets = self._buckets(keys)
        (slots,) = (self._keys.take(buckets, axis=0) == keys[:, None]).ravel().nonzero()
        positions = slots // self._width
        return positions, self._places.take((buckets.take(positions) - positions) * self._width + slots)

    def _buckets(self, keys: Ids) -> Ids:
        return ((keys.view(np.uint64) * GOLDEN) >> self._shift).view(np.int64)


_EDGE = np.ones(1, dtype=bool)
