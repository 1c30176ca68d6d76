"""TF-IDF and a linear model in one pass over a text, without a matrix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row
from lockstep.features.text import tokenizer

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
UNKNOWN = -1


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
        for score, row in zip(scores, rows, strict=True):
            terms = self._terms(row[self.place])
            if len(terms):
                score += self._weigh(terms)

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

    def _terms(self, text: float | str | None) -> Ids:
        """Return every occurrence of a term in a text, sorted."""
        tokens = self._tokens(text if isinstance(text, str) else None)
        ids = np.fromiter(map(self._numbers.get, tokens, repeat(UNKNOWN)), np.int64, len(tokens))
        found = [
            self._find(ids, length, keys) + offset
            for length, keys, offset in zip(self.ngrams, self.keys, self._offsets[:-1], strict=True)
            if len(keys) and len(ids) >= length
        ]
        terms = np.concatenate(found) if found else ids[:0]
        terms.sort()
        return terms

    def _find(self, ids: Ids, length: int, keys: Ids) -> Ids:
        """Return the terms of one length: an n-gram's key has its words' numbers as digits, as in `TextTfidf`."""
        if length == 1:
            places = self._singles[ids[ids >= 0]]
            return places[places >= 0]
        last = len(ids) - length + 1
        grams, known = ids[:last], ids[:last] >= 0
        for start in range(1, length):
            part = ids[start : start + last]
            known = known & (part >= 0)
            grams = grams * len(self.words) + part
        grams = grams[known]
        places = np.searchsorted(keys, grams)
        places[places == len(keys)] = 0
        return places[keys[places] == grams]

    def _weigh(self, terms: Ids) -> Floats:
        """Return the weight of a text in each output: its terms weighed by TF-IDF, scaled to length 1."""
        starts = np.flatnonzero(np.concatenate((_FIRST, terms[1:] != terms[:-1])))
        counts = np.diff(starts, append=len(terms)).astype(np.float64)
        distinct = terms[starts]
        tfidf = (1 + np.log(counts) if self.sublinear else counts) * self.idf[distinct]
        weighed: Floats = (tfidf @ self.weights[distinct]) / np.sqrt(tfidf @ tfidf)
        return weighed


_FIRST = np.ones(1, dtype=bool)
