"""Why a prediction, for those who ask, and in which words it is refused where nothing can be said."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flask import current_app
from msgspec import structs
from werkzeug.exceptions import NotImplemented as NotHere
from werkzeug.exceptions import RequestEntityTooLarge, ServiceUnavailable, UnprocessableEntity

from flask_app.admission import guard
from flask_app.prediction.prediction_service import PredictionResult
from lockstep.data.schema import Row
from lockstep.errors import ArtifactError, MissingExtra, NotExplained
from lockstep.inference.predictor import Predictor
from lockstep.scoring import contributions, tree_contributions

MOST_ROWS = 100  # Rows that a request may have explained: trees take milliseconds for each.
RETRY_AFTER_S = 5


def check(predictor: Predictor, rows: Sequence[Row]) -> None:
    """Refuse what cannot be explained, before it is answered; the first time, trees are made ready, for seconds.

    Raises RequestEntityTooLarge: there are too many rows.
    Raises UnprocessableEntity: nothing explains this model.
    Raises NotImplemented: a package that explains it is not installed.
    """
    if len(rows) > MOST_ROWS:
        raise RequestEntityTooLarge(f"At most {MOST_ROWS} rows a request with explain.")
    with refusals():
        predictor.explainer  # noqa: B018 - it is made when it is first asked for


def explained(answered: PredictionResult) -> PredictionResult:
    """Return an answer with what each column adds to it; trees, whose package holds the GIL, in turn."""
    predictor = answered.serving.predictor
    with refusals():
        if contributions.explanation_method(predictor.scorer) == "linear":
            return structs.replace(answered, explanations=predictor.explain(answered.rows))
        with guard.from_app(current_app).limiter.large_request():
            return structs.replace(answered, explanations=predictor.explain(answered.rows))


def offered(predictor: Predictor) -> str:
    """Return when people are told why: `always`, if `asked`, `never`, or not here, where a package is `missing`."""
    method = contributions.explanation_method(predictor.scorer)
    if method == "trees":
        return "asked" if tree_contributions.installed() else "missing"
    return "always" if method else "never"


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what keeps a prediction from being explained into an answer of HTTP."""
    try:
        yield
    except MissingExtra as missing:
        raise NotHere(f"{missing.problem}: {missing.hint}.") from None
    except NotExplained as refused:
        raise UnprocessableEntity(f"{refused.problem}: {refused.hint}.") from None
    except ArtifactError as error:
        raise ServiceUnavailable(
            "The files of this version cannot be read again.", retry_after=RETRY_AFTER_S
        ) from error
