"""Explanations of predictions: what each column of a row contributes to the score, against the average train row.

A linear model's score is a sum with one part a column, f(value). The Shapley value of a column, for features taken as
independent, is then f(value) - E f (Lundberg and Lee 2017, corollary 1), where the average E f is that of the train
rows. So base + contributions = score, exactly, with the base = intercept + the sum of all E f. Texts are held against
one without a known word, which adds nothing.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lockstep.data.schema import FieldError, Label, Row, RowsRefused, Schema
from lockstep.errors import NotExplained
from lockstep.scoring import tree_contributions
from lockstep.scoring.links import UNITS
from lockstep.scoring.scorers import Contributions, Floats, LinearScorer, Scorer, TreeScorer
from lockstep.scoring.tfidf import StackedTerms, TfidfTerms

EXTREME = "too extreme: the model's score cannot be told apart by column for these values"
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
        numbers = [self.base, self.score, *(each.amount for each in self.contributions)]
        largest = max(abs(number) for number in numbers)
        decimals = DIGITS - 1 - math.floor(math.log10(largest)) if largest else 0

        def rounded(number: float) -> float:
            return round(number, decimals) + 0.0

        listed, rest = self.contributions[:MOST_COLUMNS], self.contributions[MOST_COLUMNS:]
        printed = {"unit": self.unit, "base": rounded(self.base), "score": rounded(self.score)}
        printed |= {"contributions": [_printed(each, rounded) for each in listed]}
        if rest:
            amount = rounded(math.fsum(each.amount for each in rest))
            printed["other"] = {"columns": len(rest), "contribution": amount}
        return printed if self.label is None else {"label": self.label, **printed}


def _writable(value: float | str | None) -> float | str | None:
    """Return a value without what UTF-8 cannot carry."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _printed(contribution: Contribution, rounded: Callable[[float], float]) -> dict[str, Any]:
    if contribution.words is None:
        return {
            "column": contribution.column,
            "value": _writable(contribution.value),
            "contribution": rounded(contribution.amount),
        }
    words = [{"word": word.word, "contribution": rounded(word.amount)} for word in contribution.words[:MOST_WORDS]]
    others = rounded(contribution.amount - math.fsum(word.amount for word in contribution.words[:MOST_WORDS]))
    return {
        "column": contribution.column,
        "contribution": rounded(contribution.amount),
        "words": words,
        "other_words": others,
    }


class LinearExplainer:
    """Explainer of linear models, exact."""

    def __init__(self, schema: Schema, scorer: LinearScorer) -> None:
        self.schema, self.scorer = schema, scorer
        width = len(schema.columns)
        self._expected = np.zeros((width, len(scorer.intercept))) if scorer.expected is None else scorer.expected

    def contributions(self, rows: Sequence[Row]) -> Contributions:
        """Return the contributions of each column of checked rows, less their average over the train rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            added = column_totals(self.scorer, rows, len(self.schema.columns)) - self._expected
            plain = {terms.column_index for terms in self.scorer.terms}
            every = (*self.scorer.terms, *_stacked_terms(self.scorer))
            words = [_word_contributions(every, row) for row in rows] if every else []
            for row_total, by_column in zip(added, words, strict=False):
                for index in plain & by_column.keys():
                    row_total[index] += np.sum(list(by_column[index].values()), axis=0)
            return Contributions(self.scorer.link, self.scorer.intercept + self._expected.sum(axis=0), added, words)


Explainer = LinearExplainer | tree_contributions.TreeExplainer


def column_totals(scorer: LinearScorer, rows: Sequence[Row], width: int) -> Floats:
    """Return the part of a linear model's total by column, texts left out (rows, columns, outputs)."""
    added = np.zeros((len(rows), width, len(scorer.intercept)))
    for step in (scorer.numbers, scorer.days, *scorer.more):
        if step:
            features = step[0].dense(rows)
            for number, index in enumerate(step[0].column_of_feature):
                added[:, index] += features[:, number, None] * step[1][number]
    if scorer.categories:
        codes = scorer.categories[0].codes(rows)
        for number, index in enumerate(scorer.categories[0].column_indices):
            added[:, index] += scorer.category_weights[codes[:, number]]
    return added


def _stacked_terms(scorer: LinearScorer) -> Iterator[TfidfTerms]:
    """Yield the terms of stacked texts, weighted by what their predictions weigh in the score."""
    for step, weights in scorer.more:
        if isinstance(step, StackedTerms):
            yield replace(step.terms, weights=step.terms.weights @ weights)


def _word_contributions(text_columns: Iterable[TfidfTerms], row: Row) -> dict[int, dict[str, Floats]]:
    """Return what each word of a row's texts adds, by the text's place and the word as it was read."""
    by_column: dict[int, dict[str, Floats]] = {}
    for terms in text_columns:
        text = row[terms.column_index]
        tokens, added = terms.spread(text if isinstance(text, str) else None)
        amounts = by_column.setdefault(terms.column_index, {"": np.zeros(added.shape[1])})
        for word, amount in zip(_read(tokens, terms.unit), added, strict=True):
            amounts[word] = amounts[word] + amount if word in amounts else amount
    return by_column


def _read(tokens: list[str], unit: str) -> Iterable[str]:
    """Return the word that each token stands in; a character's is without the signs around it, perhaps nothing."""
    if unit == "words":
        return tokens
    words = "".join(tokens).split(" ")
    return [word.strip(EDGES) for word in words for _ in range(len(word) + 1)][: len(tokens)]


def explanation_method(scorer: Scorer) -> str:
    """Return the method that explains a scorer: `linear`, `trees`, or an empty text for none."""
    if isinstance(scorer, LinearScorer):
        return "linear"
    if isinstance(scorer, TreeScorer):
        return "trees"
    return "trees" if tree_contributions.family(getattr(scorer, "pipeline", None)) else ""


def build_explainer(schema: Schema, scorer: Scorer, pipeline: Callable[[], Any]) -> Explainer:
    """Build the explainer of a scorer; `pipeline` fetches the fitted one, for trees.

    Raises NotExplained: nothing does.
    Raises MissingExtra: a package that explains trees is not installed.
    """
    method = explanation_method(scorer)
    if method == "trees":
        return tree_contributions.TreeExplainer(schema, scorer, pipeline())
    if not isinstance(scorer, LinearScorer):
        raise NotExplained(
            "this model cannot be explained: there is a method for linear models and for trees",
            "ask without explain, or choose another candidate in params.yaml",
        )
    return LinearExplainer(schema, scorer)


def explanations(
    schema: Schema, rows: Sequence[Row], values: Sequence[Any], contributions: Contributions
) -> list[Explanation]:
    """Return why rows were answered with these labels or values. Raises RowsRefused: a part of a score overflows."""
    finite = np.isfinite(contributions.columns).all(axis=(1, 2))
    if not finite.all():
        raise RowsRefused([FieldError(row, "", EXTREME) for row in np.flatnonzero(~finite).tolist()])
    words = contributions.words or [{} for _ in rows]
    return [
        _explanation(
            schema, contributions, value, _contributions(schema, row, added @ toward, row_words, toward), toward
        )
        for row, value, added, row_words in zip(rows, values, contributions.columns, words, strict=True)
        for toward in [direction(contributions.link, schema.labels, value)]
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
    schema: Schema, contributions: Contributions, value: Any, parts: list[Contribution], toward: Floats
) -> Explanation:
    base = float(contributions.base @ toward)
    score = math.fsum((base, *(part.amount for part in parts)))
    ordered = tuple(sorted(parts, key=lambda part: -abs(part.amount)))
    return Explanation(value if schema.labels else None, UNITS[contributions.link], base, score, ordered)


def _contributions(
    schema: Schema, row: Row, amounts: Floats, words: dict[int, dict[str, Floats]], toward: Floats
) -> list[Contribution]:
    listed_columns = []
    for index, (column, value) in enumerate(zip(schema.columns, row, strict=True)):
        word_amounts = [Word(word, float(added @ toward)) for word, added in words.get(index, {}).items() if word]
        ordered = tuple(sorted((word for word in word_amounts if word.amount), key=lambda word: -abs(word.amount)))
        listed = ordered if index in words else None
        listed_columns.append(Contribution(column.name, value, float(amounts[index]), listed))
    return listed_columns
