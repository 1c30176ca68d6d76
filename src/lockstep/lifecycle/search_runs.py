"""The trials of a search as runs below the run of the model, so that the tracking server's pages compare them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockstep import files, paths
from lockstep.metrics import scores as metrics
from lockstep.modeling.search import checkpoint
from lockstep.registry.tracking import Run

MOST = 50
COUNT_TAG = "search_trials"

Trial = Mapping[str, Any]


def read() -> tuple[list[Run], dict[str, str], dict[str, float]]:
    """Return the runs of the latest search, and a tag and metrics for the run above them."""
    record = files.read_json(paths.SEARCH)
    timings = checkpoint.timings(paths.SEARCHES, paths.SEARCH)
    trial_runs = list(runs(record, timings))
    trials_run = sum(trial["status"] != "left_out" for trial in record["trials"])
    best = record["trials"][record["best"]]
    return trial_runs, {COUNT_TAG: f"best {len(trial_runs)} of {trials_run}"}, _measured(best, record["metric"])


def runs(record: Mapping[str, Any], timings: Sequence[Mapping[str, float]]) -> Iterator[Run]:
    """Yield the best trials of a search that were run, best first; with their durations where recorded."""
    sign = 1 if metrics.METRICS[record["metric"]].higher_is_better else -1

    def worth(index: int) -> tuple[float, float]:
        trial = record["trials"][index]
        scores = trial["scores"]
        return -trial["rows"], -sign * sum(scores) / len(scores) if scores else 0.0

    indices = [index for index, trial in enumerate(record["trials"]) if trial["status"] != "left_out"]
    for index in sorted(indices, key=worth)[:MOST]:
        yield _run(index, record, timings[index] if index < len(timings) else {})


def _run(index: int, record: Mapping[str, Any], took: Mapping[str, float]) -> Run:
    trial = record["trials"][index]
    cause = {"cause": trial["cause"]} if trial.get("cause") else {}
    best = {"best": "true"} if index == record["best"] else {}
    reference = {"reference": "true"} if trial["reference"] else {}
    return Run(
        name=f"{index:03} {trial['estimator']}",
        params={"estimator": trial["estimator"], **trial["params"]},
        metrics=_measured(trial, record["metric"]) | {"rows": float(trial["rows"]), **took},
        steps={f"fold_{record['metric']}": trial["scores"]} if trial["scores"] else {},
        tags={"status": trial["status"], "trial": str(index)} | cause | best | reference,
        failed=trial["status"] == "failed",
    )


def _measured(trial: Trial, metric: str) -> dict[str, float]:
    scores = trial["scores"]
    return {f"cv_{metric}": sum(scores) / len(scores)} if scores else {}
