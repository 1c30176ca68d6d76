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
    made = list(runs(record, timings))
    run_of = sum(trial["status"] != "left_out" for trial in record["trials"])
    best = record["trials"][record["best"]]
    return made, {COUNT_TAG: f"best {len(made)} of {run_of}"}, _measured(best, record["metric"])


def runs(record: Mapping[str, Any], timings: Sequence[Mapping[str, float]]) -> Iterator[Run]:
    """Yield the best trials of a search that were run, best first; with how long they took, where that is known."""
    sign = 1 if metrics.METRICS[record["metric"]].higher_is_better else -1

    def worth(place: int) -> tuple[float, float]:
        trial = record["trials"][place]
        scores = trial["scores"]
        return -trial["rows"], -sign * sum(scores) / len(scores) if scores else 0.0

    there = [place for place, trial in enumerate(record["trials"]) if trial["status"] != "left_out"]
    for place in sorted(there, key=worth)[:MOST]:
        yield _run(place, record, timings[place] if place < len(timings) else {})


def _run(place: int, record: Mapping[str, Any], took: Mapping[str, float]) -> Run:
    trial = record["trials"][place]
    cause = {"cause": trial["cause"]} if trial.get("cause") else {}
    best = {"best": "true"} if place == record["best"] else {}
    reference = {"reference": "true"} if trial["reference"] else {}
    return Run(
        name=f"{place:03} {trial['estimator']}",
        params={"estimator": trial["estimator"], **trial["params"]},
        metrics=_measured(trial, record["metric"]) | {"rows": float(trial["rows"]), **took},
        steps={f"fold_{record['metric']}": trial["scores"]} if trial["scores"] else {},
        tags={"status": trial["status"], "trial": str(place)} | cause | best | reference,
        failed=trial["status"] == "failed",
    )


def _measured(trial: Trial, metric: str) -> dict[str, float]:
    scores = trial["scores"]
    return {f"cv_{metric}": sum(scores) / len(scores)} if scores else {}
