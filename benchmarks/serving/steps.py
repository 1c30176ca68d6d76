"""Microbenchmark of the steps of a request inside a worker, each in isolation, on the three models.

    python -m benchmarks.serving.steps [--write]

Figures are microseconds of processor time for one row of JSON, medians over distinct rows, without HTTP.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.serving import models, report
from benchmarks.serving.environments import ROOT
from benchmarks.serving.models import CASES, Model, compact

PAGE = ROOT / "docs" / "measurements" / "serving.md"
ROWS = 300
REPEATS = 5
PIPELINE_ROWS = 60
PAUSE_S = 0.0005
"""Long enough for the processor to turn to other processes, and to forget this one's data and branches."""


def main(words: Sequence[str]) -> int:
    """Measure each step and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.steps", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements/serving.md")
    arguments = parser.parse_args(words)
    measured = {name: steps(models.prepare(case, models.REVIEWS)) for name, case in CASES.items()}
    names = list(next(iter(measured.values())))
    rows = [(name, *(f"{own[name]:.1f}" for own in measured.values())) for name in names]
    table = report.table(("us of CPU for one row", *measured), rows)
    print(table)
    if arguments.write:
        PAGE.write_text(report.fill(PAGE.read_text(encoding="utf-8"), {"steps": table}), encoding="utf-8")
    return 0


def steps(model: Model) -> dict[str, float]:
    """Return what each step takes for one row, in the order of a request."""
    app, front = _served(model)
    serving = _service(app).require()
    predictor, answering = serving.predictor, app.extensions["prediction_service"]
    bodies = [compact({"rows": [row]}) for row in model.rows[:ROWS]]
    rows = [predictor.decoder.decode(body).rows for body in bodies]
    answers = [answering.answer(serving, own) for own in rows]
    slow = model.frame[:PIPELINE_ROWS]
    return {
        "JSON to checked rows": _median_us(predictor.decoder.decode, bodies),
        "score": _median_us(predictor.scorer.one, [own[0] for own in rows]),
        "label, rounding": _median_us(predictor.predict, rows) - _median_us(predictor.scorer.one, [r[0] for r in rows]),
        "names, counters": _median_us(lambda own: answering.answer(serving, own), rows)
        - _median_us(predictor.predict, rows),
        "answer to JSON": _median_us(lambda answered: answered.to_json(), answers),
        "all, with the front": _median_us(lambda body: _ask(front, body), bodies),
        "all, where the processor did something else before": _median_us(
            lambda body: _ask(front, body), bodies, PAUSE_S
        ),
        "scikit-learn's pipeline on a frame of one row": _median_us(
            model.pipeline.predict_proba, [slow[place : place + 1] for place in range(len(slow))]
        ),
    }


def _served(model: Model) -> tuple[Any, Any]:
    """Return the app and the front of a worker that serves the model from its folder."""
    from flask_app import create_app
    from flask_app.fast_path import FastPath
    from lockstep.config.settings import Settings
    from lockstep.errors import TrackingError

    def away() -> Any:
        raise TrackingError("no registry is asked here")

    state = tempfile.mkdtemp()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = state
    settings = {"LOCKSTEP_MODEL_NAME": model.registered_name, "LOCKSTEP_BAKED_MODEL": str(model.project / "models")}
    app = create_app(Settings.read({**settings, "LOCKSTEP_STATE": state, "PROMETHEUS_MULTIPROC_DIR": state}), away)
    _service(app).look()
    return app, FastPath(app)


def _service(app: Any) -> Any:
    from flask_app.models import model_service

    return model_service.default(app)


def _ask(front: Any, body: bytes) -> Iterable[bytes]:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/predict",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(body),
    }
    answer: Iterable[bytes] = front(environ, lambda status, headers: None)
    return answer


def _median_us(step: Callable[[Any], Any], inputs: Sequence[Any], pause_s: float = 0.0) -> float:
    """Return the median over inputs of the shortest of a few runs, each after a pause."""
    step(inputs[0])
    shortest = [float("inf")] * len(inputs)
    for _ in range(REPEATS):
        for place, own in enumerate(inputs):
            if pause_s:
                time.sleep(pause_s)
            started = time.thread_time_ns()
            step(own)
            shortest[place] = min(shortest[place], (time.thread_time_ns() - started) / 1000)
    return statistics.median(shortest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
