"""List the experiments of DVC: what each changed, what it reached, and its run in MLflow.

Example: lockstep experiments --json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.lifecycle import experiments
from lockstep.lifecycle.experiments import Experiment
from lockstep.registry import runs, tracking, tracking_server
from lockstep.registry.runs import LoggedRun
from lockstep.runtime.terminal import print_table


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--all", action="store_true", help="of every commit, not only of the present one")
    parser.add_argument("--json", action="store_true", help="print JSON for a program, with every metric")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Join what DVC and the tracking server know, and print one row an experiment."""
    listed = experiments.shown(*(["--all-commits"] if arguments.all else []))
    client = tracking.connect(settings)
    logged = [run for name in sorted(_where_logged(listed)) for run in runs.pipelines(client, name)]
    rows = [(experiment, experiments.run_of(experiment, logged)) for experiment in listed]
    where = tracking_server.resolve(settings)
    if arguments.json:
        print(json.dumps([_row(experiment, logged_run, where) for experiment, logged_run in rows]))
    else:
        _show(rows)
        if where.kind == "local":
            print("`make mlflow` shows the runs:")
        for experiment, logged_run in rows:
            if logged_run:
                print(f"{experiment.name:<20}  {logged_run.page(where)}")
    return 0


def _where_logged(runs: Sequence[Experiment]) -> set[str]:
    """Return the experiments of MLflow in which the runs stand."""
    names = {
        str(experiment.params["register_model.experiment"])
        for experiment in runs
        if "register_model.experiment" in experiment.params
    }
    return {params_file.load().register_model.experiment, *names}


def _row(experiment: Experiment, logged: LoggedRun | None, where: tracking_server.TrackingServer) -> dict[str, Any]:
    logged_row = {"run_id": logged.run_id, "page": logged.page(where)} if logged else {"run_id": None, "page": None}
    return asdict(experiment) | logged_row


def _show(rows: Sequence[tuple[Experiment, LoggedRun | None]]) -> None:
    names = _columns(rows)
    cells = []
    for experiment, logged in rows:
        changed = "\n".join(
            f"{key}: {'left out' if value is None else value}" for key, value in experiment.params.items()
        )
        figures = (f"{experiment.metrics[name]:.4f}" if name in experiment.metrics else "" for name in names)
        cells.append([experiment.name[:40], experiment.state, changed, *figures, logged.run_id[:8] if logged else ""])
    print_table(["experiment", "state", "changed", *names, "run"], cells)


def _columns(rows: Sequence[tuple[Experiment, LoggedRun | None]]) -> list[str]:
    """Choose the metrics to show: the one that is searched for, then those that have a floor."""
    measured = [name for experiment, _ in rows for name in experiment.metrics]
    searched: Mapping[str, Any] = files.read_json(paths.SEARCH) if paths.SEARCH.exists() else {}
    wanted = dict.fromkeys([searched.get("metric"), *params_file.load().model_evaluation.floors])
    return [name for name in wanted if name in measured]
