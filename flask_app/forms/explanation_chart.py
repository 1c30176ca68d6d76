"""An explanation as the page of the form draws it: bars by column, and the words of a text where they stand."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from werkzeug.exceptions import HTTPException

from flask_app.forms.controls import spelled
from flask_app.prediction import explanation as explaining
from flask_app.prediction.prediction_service import PredictionResult
from lockstep.data.schema import RowsRefused, label_name
from lockstep.features.tokenizer import CLEANERS
from lockstep.inference.predictor import Predictor
from lockstep.scoring.contributions import Contribution, Explanation
from lockstep.scoring.scorers import LinearScorer

MOST_LINES, MOST_WORDS, MOST_CHARACTERS = 10, 8, 20_000
LONGEST_VALUE = 60
FAINTEST = 0.05  # Words that add less than this share of what the strongest one adds stay unmarked.
WORD = re.compile(r"\w+")
NEVER = "This model cannot say why: there is a method for linear models and for trees alone."
MISSING = "This server cannot say why: it lacks the package that explains trees."


@dataclass(frozen=True)
class Bar:
    """A column with its value, what it adds, and the place and width of its bar in percent."""

    name: str
    value: str
    amount: str
    toward: str
    start: float
    width: float


@dataclass(frozen=True)
class TextSpan:
    """A piece of a text; a marked one speaks `for` or `against` the answer, with a strength of 1 to 3."""

    text: str
    toward: str = ""
    strength: int = 0


@dataclass(frozen=True)
class HighlightedText:
    """A text with its words marked, and those that add most."""

    name: str
    pieces: list[TextSpan]
    words: list[tuple[str, str, str]]


@dataclass(frozen=True)
class ExplanationView:
    """What the page says of why; only `note` where nothing can be said."""

    note: str = ""
    unit: str = ""
    base: str = ""
    score: str = ""
    zero: float = 0.0
    lines: Sequence[Bar] = ()
    texts: Sequence[HighlightedText] = ()


def build(answered: PredictionResult, requested: bool) -> ExplanationView | None:
    """Return why a row was answered so, or the sentence that says what is in the way; trees only if it is asked."""
    predictor = answered.serving.predictor
    offered = explaining.offered(predictor)
    if offered == "asked" and not requested:
        return None
    if offered in NOTES:
        return ExplanationView(NOTES[offered])
    try:
        (explanation,) = explaining.explained(answered).explanations or ()
    except (HTTPException, RowsRefused) as refused:
        return ExplanationView(f"Why it is so cannot be said now. {getattr(refused, 'description', refused)}")
    return _drawn(explanation, predictor)


NOTES = {"never": NEVER, "missing": MISSING}


def _drawn(explanation: Explanation, predictor: Predictor) -> ExplanationView:
    scale = 100.0 if explanation.unit == "probability" else 1.0
    write = _writer([scale * part.amount for part in explanation.contributions] + [scale * explanation.score], scale)
    listed, rest = explanation.contributions[:MOST_LINES], explanation.contributions[MOST_LINES:]
    bars = [(part.column, _value(part), part.amount) for part in listed]
    if rest:
        bars.append((f"{len(rest)} more columns", "", math.fsum(part.amount for part in rest)))
    amounts = [amount for _, _, amount in bars]
    left, right = max(0.0, -min(amounts, default=0.0)), max(0.0, *amounts, 0.0)
    step = 100 / ((left + right) or 1.0)
    lines = [
        Bar(
            name,
            value,
            write(bar_amount),
            _toward(bar_amount),
            step * (left + min(bar_amount, 0.0)),
            step * abs(bar_amount),
        )
        for name, value, bar_amount in bars
    ]
    texts = [_marked(part, predictor, write) for part in listed if part.words]
    base, score = (write(bar_amount).lstrip("+") for bar_amount in (explanation.base, explanation.score))
    return ExplanationView("", _unit(explanation, predictor), base, score, step * left, lines, texts)


def _unit(explanation: Explanation, predictor: Predictor) -> str:
    """Say what the numbers count."""
    name = label_name(explanation.label) if explanation.label is not None else predictor.schema.target
    if explanation.unit == "probability":
        return f"in percent of probability of {name}"
    if explanation.unit == "value":
        return f"in the unit of {name}"
    against = " against the average of the others" if len(predictor.schema.labels) > 2 else ""
    return f"in log-odds of {name}{against}: 0.7 more doubles the odds"


def _writer(amounts: Sequence[float], scale: float) -> Callable[[float], str]:
    """Return what writes amounts with their sign, to three digits of the largest."""
    largest = max(map(abs, amounts), default=0.0)
    decimals = min(6, max(0, 2 - math.floor(math.log10(largest)))) if largest else 0

    def write(amount: float) -> str:
        rounded = round(scale * amount, decimals)
        return f"{rounded:{'+' if rounded else ''},.{decimals}f}".replace("-", "\N{MINUS SIGN}" if rounded else "")

    return write


def _toward(amount: float) -> str:
    return "for" if amount > 0 else "against" if amount < 0 else ""


def _value(contribution: Contribution) -> str:
    if contribution.value is None:
        return "missing"
    if contribution.words is not None:
        return "the words below" if contribution.words else "no word that the model knows"
    text = spelled(contribution.value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _marked(contribution: Contribution, predictor: Predictor, write: Callable[[float], str]) -> HighlightedText:
    words = [(word.word, write(word.amount), _toward(word.amount)) for word in (contribution.words or ())[:MOST_WORDS]]
    amounts = {word.word: word.amount for word in contribution.words or ()}
    text = str(contribution.value)
    shown = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
    return HighlightedText(contribution.column, pieces(shown, amounts, _cleaned(contribution.column, predictor)), words)


def _cleaned(column: str, predictor: Predictor) -> Callable[[str], str]:
    """Return what reads a word as the model does."""
    column_index = list(predictor.schema.kinds).index(column)
    terms = predictor.scorer.terms if isinstance(predictor.scorer, LinearScorer) else ()
    steps = next(([CLEANERS[name] for name in term.clean] for term in terms if term.column_index == column_index), [])
    return lambda word: reduce(lambda text, step: step(text), steps, word)


def pieces(text: str, amounts: dict[str, float], read: Callable[[str], str]) -> list[TextSpan]:
    """Return a text cut where words stand that add enough to be marked; put together again it is the same text."""
    strongest = max(map(abs, amounts.values()), default=0.0)
    spans, end = [], 0
    for match in WORD.finditer(text):
        amount = amounts.get(read(match[0]), 0.0)
        share = abs(amount) / strongest if strongest else 0.0
        if share < FAINTEST:
            continue
        if match.start() > end:
            spans.append(TextSpan(text[end : match.start()]))
        spans.append(TextSpan(match[0], _toward(amount), 3 if share > 0.5 else 2 if share > 0.2 else 1))
        end = match.end()
    return [*spans, TextSpan(text[end:])] if end < len(text) else spans
