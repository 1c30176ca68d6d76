"""Why a prediction: what each column of a row adds to the score, against a usual row.

A linear model's score is a sum with one part a column, f(value). The Shapley value of a column, for features taken as
independent, is then f(value) - E f (Lundberg and Lee 2017, corollary 1), where the average E f is that of the train
rows. So base + contributions = score, exactly, with the base = intercept + the sum of all E f. Texts are held against
one without a known word, which adds nothing.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import FieldError, Label, Row, RowsRefused, Schema
from lockstep.errors import NotExplained
from lockstep.scoring import tree_contributions
from lockstep.scoring.scorers import Effects, LinearScorer, Scorer, TreeScorer
from lockstep.scoring.tfidf import Terms

Floats = NDArray[np.float64]
EXTREME = "too extreme: the model's score cannot be told apart by column for these values"
UNITS = {"sigmoid": "log-odds", "softmax": "log-odds", "shares": "probability", "identity": "value"}
"""The unit of a score by what turns it into an answer."""

DIGITS = 7
MOST_COLUMNS = 100
MOST_WORDS = 20
EDGES = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())


@dataclass(frozen=True)
class Word:
    """What a word adds, wherever it stands in a text."""

    word: str
    amount: float


@dataclass(frozen=True)
class Contribution:
    """What a column adds to the score, in its unit; of a text all words, those that add most first."""

    column: str
    value: float | str | None
    amount: float
    words: tuple[Word, ...] | None = None


@dataclass(frozen=True)
class Explanation:
    """A score of the predicted label (None for a value) as base + contributions, those that add most first."""

    label: Label | None
    unit: str
    base: float
    score: float
    contributions: tuple[Contribution, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as the API prints it, to so many digits of its largest number."""
        own = [self.base, self.score, *(one.amount for one in self.contributions)]
        largest = max(abs(number) for number in own)
        decimals = DIGITS - 1 - math.floor(math.log10(largest)) if largest else 0

        def rounded(number: float) -> float:
            return round(number, decimals) + 0.0

        listed, rest = self.contributions[:MOST_COLUMNS], self.contributions[MOST_COLUMNS:]
        printed = {"unit": self.unit, "base": rounded(self.base), "score": rounded(self.score)}
        printed |= {"contributions": [_printed(one, rounded) for one in listed]}
        if rest:
            amount = rounded(math.fsum(one.amount for one in rest))
            printed["other"] = {"columns": len(rest), "contribution": amount}
        return printed if self.label is None else {"label": self.label, **printed}


def _writable(value: float | str | None) -> float | str | None:
    """Return a value without what UTF-8 cannot carry."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _printed(one: Contribution, rounded: Callable[[float], float]) -> dict[str, Any]:
    if one.words is None:
        return {"column": one.column, "value": _writable(one.value), "contribution": rounded(one.amount)}
    words = [{"word": word.word, "contribution": rounded(word.amount)} for word in one.words[:MOST_WORDS]]
    others = rounded(one.amount - math.fsum(word.amount for word in one.words[:MOST_WORDS]))
    return {"column": one.column, "contribution": rounded(one.amount), "words": words, "other_words": others}


class Explainer(Protocol):
    """Takes scores apart by column."""

    def effects(self, rows: Sequence[Row]) -> Effects:
        """Return what each column of checked rows adds."""


class LinearExplainer:
    """Takes the sums of a linear model apart, exactly."""

    def __init__(self, schema: Schema, scorer: LinearScorer) -> None:
        self.schema, self.scorer = schema, scorer
        width = len(schema.columns)
        self._usual = np.zeros((width, len(scorer.intercept))) if scorer.usual is None else scorer.usual

    def effects(self, rows: Sequence[Row]) -> Effects:
        """Return what each column of checked rows adds, beyond what it usually adds."""
        with np.errstate(over="ignore", invalid="ignore"):
            added = added_by_columns(self.scorer, rows, len(self.schema.columns)) - self._usual
            words = [_words(self.scorer.terms, row) for row in rows] if self.scorer.terms else []
            for own, by_place in zip(added, words, strict=False):
                for place, by_word in by_place.items():
                    own[place] += np.sum(list(by_word.values()), axis=0)
            return Effects(self.scorer.link, self.scorer.intercept + self._usual.sum(axis=0), added, words)


def added_by_columns(scorer: LinearScorer, rows: Sequence[Row], width: int) -> Floats:
    """Return what each column but the texts adds to the total of a linear model (rows, columns, outputs)."""
    added = np.zeros((len(rows), width, len(scorer.intercept)))
    for part in (scorer.numbers, scorer.days, *scorer.more):
        if part:
            features = part[0].dense(rows)
            for number, place in enumerate(part[0].owners):
                added[:, place] += features[:, number, None] * part[1][number]
    if scorer.categories:
        codes = scorer.categories[0].codes(rows)
        for number, place in enumerate(scorer.categories[0].places):
            added[:, place] += scorer.category_weights[codes[:, number]]
    return added


def _words(parts: Iterable[Terms], row: Row) -> dict[int, dict[str, Floats]]:
    """Return what each word of a row's texts adds, by the text's place and the word as it was read."""
    found: dict[int, dict[str, Floats]] = {}
    for terms in parts:
        text = row[terms.place]
        tokens, added = terms.spread(text if isinstance(text, str) else None)
        own = found.setdefault(terms.place, {"": np.zeros(added.shape[1])})
        for word, amount in zip(_read(tokens, terms.unit), added, strict=True):
            own[word] = own[word] + amount if word in own else amount
    return found


def _read(tokens: list[str], unit: str) -> Iterable[str]:
    """Return the word that each token stands in; a character's is without the signs around it, perhaps nothing."""
    if unit == "words":
        return tokens
    words = "".join(tokens).split(" ")
    return [word.strip(EDGES) for word in words for _ in range(len(word) + 1)][: len(tokens)]


def way(scorer: Scorer) -> str:
    """Return how a scorer's answers can be explained: `linear`, `trees`, or not at all."""
    if isinstance(scorer, LinearScorer):
        return "linear"
    if isinstance(scorer, TreeScorer):
        return "trees"
    return "trees" if tree_contributions.family(getattr(scorer, "pipeline", None)) else ""


def of(schema: Schema, scorer: Scorer, pipeline: Callable[[], Any]) -> Explainer:
    """Return what explains a scorer's answers; `pipeline` fetches the fitted one, for trees.

    Raises
    ------
    NotExplained
        Nothing does.
    MissingExtra
        A package that explains trees is not installed.
    """
    own = way(scorer)
    if own == "trees":
        return tree_contributions.TreeExplainer(schema, scorer, pipeline())
    if not isinstance(scorer, LinearScorer):
        raise NotExplained(
            "this model cannot be explained: there is a method for linear models and for trees",
            "ask without explain, or choose another candidate in params.yaml",
        )
    return LinearExplainer(schema, scorer)


def explanations(schema: Schema, rows: Sequence[Row], values: Sequence[Any], effects: Effects) -> list[Explanation]:
    """Return why rows were answered with these labels or values.

    Raises
    ------
    RowsRefused
        A part of a score overflows.
    """
    finite = np.isfinite(effects.columns).all(axis=(1, 2))
    if not finite.all():
        raise RowsRefused([FieldError(row, "", EXTREME) for row in np.flatnonzero(~finite).tolist()])
    words = effects.words or [{} for _ in rows]
    return [
        _explanation(schema, effects, value, _contributions(schema, row, added @ toward, own, toward), toward)
        for row, value, added, own in zip(rows, values, effects.columns, words, strict=True)
        for toward in [direction(effects.link, schema.labels, value)]
    ]


def direction(link: str, labels: Sequence[Label], value: Any) -> Floats:
    """Return how much of each output speaks for an answer (outputs,).

    Of two classes that is the log-odds of the predicted one. Of more, softmax scores z mean nothing but by their
    differences, so it is z of the predicted class less the mean z of the others: its log-odds against their geometric
    mean.
    """
    if link == "identity":
        return np.ones(1)
    chosen = [type(label) is type(value) and label == value for label in labels].index(True)
    if link == "sigmoid":
        return np.array([1.0 if chosen else -1.0])
    toward = np.full(len(labels), -1 / (len(labels) - 1) if link == "softmax" else 0.0)
    toward[chosen] = 1.0
    return toward


def _explanation(
    schema: Schema, effects: Effects, value: Any, parts: list[Contribution], toward: Floats
) -> Explanation:
    base = float(effects.base @ toward)
    score = math.fsum((base, *(part.amount for part in parts)))
    ordered = tuple(sorted(parts, key=lambda part: -abs(part.amount)))
    return Explanation(value if schema.labels else None, UNITS[effects.link], base, score, ordered)


def _contributions(
    schema: Schema, row: Row, amounts: Floats, words: dict[int, dict[str, Floats]], toward: Floats
) -> list[Contribution]:
    found = []
    for place, (column, value) in enumerate(zip(schema.columns, row, strict=True)):
        own = [Word(word, float(added @ toward)) for word, added in words.get(place, {}).items() if word]
        ordered = tuple(sorted((one for one in own if one.amount), key=lambda one: -abs(one.amount)))
        listed = ordered if place in words else None
        found.append(Contribution(column.name, value, float(amounts[place]), listed))
    return found
