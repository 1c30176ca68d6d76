"""Run the search of every available example and compare the selected model with scikit-learn's defaults.

    python -m scripts.search_figures [--data DIR] [NAME ...]

Each example runs in a clean copy of the project. Logistic regression or ridge, and histogram boosting where the matrix
is dense, are fitted with default parameters on the same features, and scored on the same folds and the same test rows.
The output is the table of docs/measurements/search.md: differences are selected minus default, positive is better.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from scipy import sparse, stats
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from lockstep import files, paths
from lockstep.commands.verify import clean_copy
from lockstep.config import params_file
from lockstep.data import cleaning, frames, parquet
from lockstep.data.schema import Schema
from lockstep.metrics import scores as metrics
from lockstep.modeling import serialization
from lockstep.modeling.search import fold_score
from lockstep.modeling.search.trials import CVData
from scripts.ready_examples import ROOT, selected_examples

COLUMNS = ("example", "selected", "default", "metric", "selected, folds", "default, folds", "difference, 95 %")
COLUMNS += ("selected, test", "default, test", "difference, 95 %", "search")
RESAMPLES = 500


def main(words: Sequence[str]) -> None:
    """Print a Markdown table, one row an example and default."""
    print(f"| {' | '.join(COLUMNS)} |", f"| {' | '.join(['---'] * len(COLUMNS))} |", sep="\n", flush=True)
    for name, source in selected_examples(words, __doc__):
        for row in compared(name, source):
            print(f"| {' | '.join(row)} |", flush=True)


def compared(name: str, source: str) -> Iterator[Sequence[str]]:
    """Run the stages up to the search in a clean copy and yield a row for each default."""
    environment = os.environ | {"PYTHONPATH": "src"}
    stages = ("data_ingestion", "data_preprocessing", "feature_engineering", "model_building")
    with clean_copy() as copy:
        subprocess.run(
            [sys.executable, "-m", "lockstep", "use", name, "--force", "--source", source],
            cwd=copy,
            env=environment,
            stdout=sys.stderr,
            check=True,
        )
        for stage in stages:
            started = perf_counter()
            subprocess.run([sys.executable, f"src/{stage}.py"], cwd=copy, env=environment, check=True)
        os.chdir(copy)
        try:
            took = f"{perf_counter() - started:.0f} s"
            with threadpool_limits(limits=1):
                yield from rows(name, took)
        finally:
            os.chdir(ROOT)


def rows(name: str, took: str) -> Iterator[Sequence[str]]:
    """Yield a row for each default, from the outputs of the stages in the current folder."""
    schema = Schema.from_json(files.read_json(paths.SCHEMA))
    record, params = files.read_json(paths.SEARCH), params_file.load().model_building
    matrix, target = serialization.load_matrix(paths.TRAIN_MATRIX)
    ground = CVData.from_params(
        matrix, target, schema.task, params, serialization.load_fold_constraints(paths.TRAIN_MATRIX)
    )
    test = cleaning.with_kinds(parquet.read(paths.TEST), schema.kinds)
    model, best, metric = serialization.load(paths.MODEL), record["trials"][record["best"]], record["metric"]
    scored_on = model["features"].transform(test), frames.target_array(test, schema), target, ground.positive
    selected = fold_score.predict(model["estimator"], *scored_on)
    sign = 1 if metrics.METRICS[metric].higher_is_better else -1
    for default in defaults(schema.task, sparse.issparse(matrix)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so do its defaults stand
            scores = [on_fold(default, ground, number, metric) for number in range(len(ground.folds))]
            reference = fold_score.predict(default.fit(matrix, target), *scored_on)
        folds = sign * (np.asarray(best["scores"]) - scores)
        yield (
            *(name, best["estimator"], type(default).__name__, metric),
            *(f"{np.mean(best['scores']):.4f}", f"{np.mean(scores):.4f}", interval(*on_average(folds))),
            *(f"{metrics.measure(metric, selected):.4f}", f"{metrics.measure(metric, reference):.4f}"),
            interval(*metrics.difference(selected, reference, metric, RESAMPLES, 0)),
            took,
        )


def defaults(task: str, is_sparse: bool) -> list[Any]:
    """Return scikit-learn's estimators as it gives them, but for a seed."""
    if task == "regression":
        return [Ridge(), *([] if is_sparse else [HistGradientBoostingRegressor(random_state=0)])]
    return [LogisticRegression(), *([] if is_sparse else [HistGradientBoostingClassifier(random_state=0)])]


def on_fold(estimator: Any, ground: CVData, number: int, metric: str) -> float:
    """Return the score of an unfitted estimator on one fold."""
    train, held_out = ground.folds[number]
    matrix = ground.terms.reweight(ground.matrix, ground.target, train)
    fitted = estimator.fit(matrix[train], ground.target[train])
    held_target = ground.target[held_out]
    predicted = fold_score.predict(fitted, matrix[held_out], held_target, ground.target, ground.positive)
    return metrics.measure(metric, predicted)


def on_average(differences: Any) -> tuple[float, float, float]:
    """Return the mean of paired differences on folds and Student's 95 % interval."""
    mean, error = float(np.mean(differences)), float(stats.sem(differences))
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return mean, mean - half, mean + half


def interval(middle: float, low: float, high: float) -> str:
    """Spell a difference with its interval."""
    return f"{middle:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main(sys.argv[1:])
