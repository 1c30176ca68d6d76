"""The transformers of our own. Their import paths stand in every saved model: never move or rename them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from lockstep.features.numeric import cosine, sine
from lockstep.features.tokenizer import tokenizer

Ids = NDArray[np.int64]
CHUNK = 2_000
LARGEST_KEY = 2**63
LEAST_TELLING = 0.05
# Parameters of `TextTfidf` that models of earlier versions do not have.
LATER = {"unit": "words", "weighting": "tfidf"}
DATE_PARTS: dict[str, Callable[[Any], Any]] = {
    "year": lambda moments: moments.year,
    "month": lambda moments: moments.month,
    "day": lambda moments: moments.day,
    "weekday": lambda moments: moments.day_of_week,
    "hour": lambda moments: moments.hour,
    "quarter": lambda moments: moments.quarter,
    "yearday": lambda moments: moments.day_of_year,
    "month_sin": lambda moments: sine(moments.month, "month"),
    "month_cos": lambda moments: cosine(moments.month, "month"),
    "weekday_sin": lambda moments: sine(moments.day_of_week, "weekday"),
    "weekday_cos": lambda moments: cosine(moments.day_of_week, "weekday"),
    "hour_sin": lambda moments: sine(moments.hour, "hour"),
    "hour_cos": lambda moments: cosine(moments.hour, "hour"),
}


class TextTfidf(TransformerMixin, BaseEstimator):
    """Turn texts into L2-normed TF-IDF weights of words and word n-grams.

    The weight of a term is ``tf * (ln((1 + n) / (1 + df)) + 1)`` with ``n`` texts of which ``df`` hold the term
    (Salton and Buckley 1988, smoothed), and ``tf`` its count, or ``1 + ln(count)`` if sublinear. A term is kept as one
    integer: its words' numbers as digits to the base of the vocabulary's size, so two million bigrams cost no strings.

    With the weighting `naive_bayes` a term also weighs as much as it tells the classes apart: the size of its
    log-count ratio ``ln((p / |p|) / (q / |q|))``, where p counts the texts of a class that hold each term, plus one,
    and q those of the others (Wang and Manning 2012, with binary counts); of more than two classes, the largest over
    all. A linear model sets the sign itself. A cross-validation of such a matrix learns the ratios anew in each fold
    (`modeling.reweighting`), so that what is held out has no part in them.

    Parameters
    ----------
    clean : names of `text.CLEANERS`, in order.
    ngrams : lengths of the n-grams, from 1 to 3 words or 6 characters.
    min_documents : fewest texts that must hold a term.
    max_terms : most terms kept, those in the most texts first; None keeps all.
    sublinear : damp counts by their logarithm.
    unit : `words` or `characters`.
    weighting : `tfidf` or `naive_bayes`.

    Examples
    --------
    >>> tfidf = TextTfidf(min_documents=1).fit(["Good <b>film</b>", "bad film"])
    >>> list(tfidf.get_feature_names_out())
    ['bad', 'film', 'good', 'bad film', 'good film']
    >>> tfidf.transform(["a good film"]).shape
    (1, 5)
    """

    idf_: NDArray[np.float64]

    def __init__(
        self,
        clean: Sequence[str] = ("unescape_html", "strip_tags", "lowercase"),
        ngrams: Sequence[int] = (1, 2),
        min_documents: int = 2,
        max_terms: int | None = None,
        sublinear: bool = True,
        *,
        unit: str = "words",
        weighting: str = "tfidf",
    ) -> None:
        self.clean = clean
        self.ngrams = ngrams
        self.min_documents = min_documents
        self.max_terms = max_terms
        self.sublinear = sublinear
        self.unit = unit
        self.weighting = weighting

    def fit(self, X: Iterable[str | None], y: Any = None) -> Self:
        """Learn vocabulary, terms and their weights from texts and, for `naive_bayes`, their classes."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Iterable[str | None], y: Any = None, **fit_params: Any) -> sparse.csr_matrix:
        """Learn from texts and weigh them, reading each once."""
        learned = self._learn(X)
        if self.weighting == "tfidf":
            return self._weigh(*learned)
        rows, columns, counts = self._cells(*learned)
        self.idf_ = self.idf_ * telling(rows, columns, y, len(self.idf_))
        return self._scale(rows, columns, counts, self.idf_[columns], learned[2])

    def transform(self, X: Iterable[str | None]) -> sparse.csr_matrix:
        """Return the weights as a CSR matrix of texts x terms; unknown words count for nothing."""
        check_is_fitted(self, "words_")
        texts = list(X)
        starts = range(0, max(1, len(texts)), CHUNK)
        parts = [self._weigh(*self._number(texts[start : start + CHUNK])) for start in starts]
        return sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the terms as text, in the order of the matrix's columns."""
        check_is_fitted(self, "words_")
        words, names = self.words_.split("\n"), []
        for length, keys in zip(self.ngrams, self.keys_, strict=True):
            digits = [keys // len(words) ** power % len(words) for power in range(length - 1, -1, -1)]
            names += [" ".join(words[d] for d in term) for term in zip(*digits, strict=True)]
        return np.asarray(names, dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is kept: no cache, and of `LATER` only what is not the default, as in older models."""
        return {
            name: value
            for name, value in self.__dict__.items()
            if name != "_numbers" and not (name in LATER and value == LATER[name])
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(LATER | state)

    def _tokens(self, texts: Iterable[str | None]) -> Iterator[list[str]]:
        return map(tokenizer(self.clean, self.unit), texts)

    def _learn(self, texts: Iterable[str | None]) -> tuple[Ids, Ids, int]:
        """Set the fitted attributes; return every token's word number and text number, and the number of texts."""
        numbering: dict[str, int] = {}
        pieces, lengths = [], []
        for tokens in self._tokens(texts):
            pieces.append(np.fromiter((numbering.setdefault(t, len(numbering)) for t in tokens), np.int32, len(tokens)))
            lengths.append(len(tokens))
        count = len(lengths)
        owners = np.repeat(np.arange(count), lengths)
        raw = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
        frequent = _document_frequency(raw.astype(np.int64), owners, count, len(numbering)) >= self.min_documents
        words = np.asarray(list(numbering), dtype=object)
        if not frequent.any():
            raise ValueError("no word stands in enough texts: lower feature_engineering.text.min_documents")
        order = np.argsort(words[frequent].astype(str))
        numbers = np.full(len(numbering), -1, np.int64)
        numbers[np.flatnonzero(frequent)[order]] = np.arange(len(order))
        self.words_ = "\n".join(words[frequent][order])
        self._numbers = {word: number for number, word in enumerate(words[frequent][order])}
        ids = numbers[raw]
        self._learn_terms(ids, owners, count)
        return ids, owners, count

    def _learn_terms(self, ids: Ids, owners: Ids, count: int) -> None:
        base = self.words_.count("\n") + 1
        if (base + 1) ** max(self.ngrams) >= LARGEST_KEY:
            raise ValueError(
                f"{base:,} {self.unit} are too many for sequences of {max(self.ngrams)}: keep shorter ones"
            )
        keys, frequencies = [], []
        for length in self.ngrams:
            grams, held_by = self._grams(ids, owners, length)
            distinct, totals = _distinct(grams)
            distinct = distinct[totals >= self.min_documents]
            codes, often = _locate(grams, distinct)
            documents = _document_frequency(codes[often], held_by[often], count, len(distinct))
            keep = documents >= self.min_documents
            keys.append(distinct[keep])
            frequencies.append(documents[keep])
        chosen = _most_frequent(np.concatenate(frequencies), self.max_terms)
        bounds = np.cumsum([len(part) for part in keys])[:-1]
        self.keys_ = [part[mask] for part, mask in zip(keys, np.split(chosen, bounds), strict=True)]
        self.idf_ = np.log((1 + count) / (1 + np.concatenate(frequencies)[chosen])) + 1

    def _number(self, texts: Sequence[str | None]) -> tuple[Ids, Ids, int]:
        """Return every known or unknown (-1) token's word number and text number, and the number of texts."""
        if not hasattr(self, "_numbers"):
            self._numbers = {word: number for number, word in enumerate(self.words_.split("\n"))}
        get = self._numbers.get
        numbered = [[get(token, -1) for token in tokens] for tokens in self._tokens(texts)]
        ids = np.fromiter((number for row in numbered for number in row), np.int64)
        return ids, np.repeat(np.arange(len(numbered)), [len(row) for row in numbered]), len(numbered)

    def _grams(self, ids: Ids, owners: Ids, length: int) -> tuple[Ids, Ids]:
        """Return the key and the text of each n-gram whose words are all known."""
        base = self.words_.count("\n") + 1
        last = len(ids) - length + 1
        if last <= 0:
            return ids[:0], owners[:0]
        whole = owners[:last] == owners[length - 1 :]
        keys = np.zeros(last, np.int64)
        for offset in range(length):
            part = ids[offset : offset + last]
            whole &= part >= 0
            keys = keys * base + part
        return keys[whole], owners[:last][whole]

    def _weigh(self, ids: Ids, owners: Ids, count: int) -> sparse.csr_matrix:
        """Count the known terms of each text, weigh them, and scale each row to length 1."""
        rows, columns, counts = self._cells(ids, owners, count)
        return self._scale(rows, columns, counts, self.idf_[columns], count)

    def _cells(self, ids: Ids, owners: Ids, count: int) -> tuple[Ids, Ids, Ids]:
        """Return text, term and count of each term in a text, in order."""
        width = len(self.idf_)
        cells, offset = [], 0
        for length, keys in zip(self.ngrams, self.keys_, strict=True):
            grams, held_by = self._grams(ids, owners, length)
            index, is_term = _locate(grams, keys)
            cells.append(held_by[is_term] * width + index[is_term] + offset)
            offset += len(keys)
        cell, counts = _distinct(np.concatenate(cells))
        rows, columns = np.divmod(cell, width)
        return rows, columns, counts

    def _scale(
        self, rows: Ids, columns: Ids, counts: Ids, importance: NDArray[np.float64], count: int
    ) -> sparse.csr_matrix:
        weights = (1 + np.log(counts) if self.sublinear else counts.astype(np.float64)) * importance
        norms = np.sqrt(np.bincount(rows, weights * weights, minlength=count))
        starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=count))))
        return sparse.csr_matrix((weights / norms[rows], columns, starts), shape=(count, len(self.idf_)))


def telling(rows: Ids, columns: Ids, y: Any, width: int) -> NDArray[np.float64]:
    """Return how well each of `width` terms tells classes apart, from the text and the term of each cell that is set.

    That is the largest size of its log-count ratios of one class against the rest, and a little more, so that a term
    that tells nothing still counts. `y` holds the class of each text.
    """
    labels, classes = np.unique(np.asarray(y), return_inverse=True)
    counts = np.stack([np.bincount(columns[classes[rows] == label], minlength=width) for label in range(len(labels))])
    whole = counts.sum(axis=0)
    strongest = np.zeros(width)
    for held in counts:
        inside, outside = held + 1.0, whole - held + 1.0
        ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        strongest = np.maximum(strongest, np.abs(ratio))
    return strongest + LEAST_TELLING


class DateParts(TransformerMixin, BaseEstimator):
    """Turn ISO 8601 dates into calendar parts, in UTC; a missing date gives NaN in each part.

    Parameters
    ----------
    parts : names of `DATE_PARTS`.

    Examples
    --------
    >>> import pandas as pd
    >>> DateParts(parts=("year", "weekday")).fit_transform(pd.DataFrame({"day": ["2026-01-31", None]}))
    array([[2026.,    5.],
           [  nan,   nan]])
    """

    def __init__(self, parts: Sequence[str] = ("year", "month", "day", "weekday", "hour")) -> None:
        self.parts = parts

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Remember the columns' names."""
        self.columns_ = [str(name) for name in X.columns]
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Return rows x (columns * parts)."""
        moments = [
            pd.DatetimeIndex(pd.to_datetime(X[name].astype(object), format="ISO8601", utc=True))
            for name in self.columns_
        ]
        blocks = [np.asarray(DATE_PARTS[part](moment), dtype=np.float64) for moment in moments for part in self.parts]
        return np.column_stack(blocks)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return `column_part` for each output column."""
        return np.asarray([f"{name}_{part}" for name in self.columns_ for part in self.parts], dtype=object)


def _document_frequency(codes: Ids, owners: Ids, count: int, width: int) -> Ids:
    """Return in how many of `count` texts each of `width` codes stands."""
    if not count:
        return np.zeros(width, np.int64)
    return np.bincount(_distinct(codes * np.int64(count) + owners)[0] // count, minlength=width)


def _distinct(values: Ids) -> tuple[Ids, Ids]:
    """Return the sorted distinct values and how often each stands; far faster here than numpy's hashing `unique`."""
    ordered = np.sort(values)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(ordered) else ordered
    return ordered[starts], np.diff(starts, append=len(ordered))


def _locate(values: Ids, ordered: Ids) -> tuple[Ids, NDArray[np.bool_]]:
    """Return the place of each value among the ordered ones, and whether it stands there."""
    if not len(ordered):
        return np.zeros(len(values), np.int64), np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return places, ordered[places] == values


def _most_frequent(frequencies: Ids, most: int | None) -> NDArray[np.bool_]:
    """Mark the `most` highest frequencies; among equals, the earlier."""
    chosen = np.zeros(len(frequencies), dtype=bool)
    chosen[np.argsort(-frequencies, kind="stable")[:most]] = True
    return chosen
