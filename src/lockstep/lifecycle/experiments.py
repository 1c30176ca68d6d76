"""Experiments of DVC, and their runs on the tracking server."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.errors import ExperimentError
from lockstep.registry import provenance
from lockstep.registry.runs import LoggedRun

DONE = "done"


@dataclass(frozen=True)
class Experiment:
    """One row of `dvc exp show`: a commit, its changed parameters against the baseline, its metrics."""

    name: str
    rev: str
    state: str
    created: str = ""
    baseline: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


def shown(*options: str) -> list[Experiment]:
    """Return the workspace, its commit, and the experiments from there, as DVC lists them.

    Raises ExperimentError: DVC does not answer, as where there is no git repository or no commit.
    """
    command = (sys.executable, "-m", "dvc", "exp", "show", "--json", *options)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        cause = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        raise ExperimentError(
            f"dvc exp show failed: {cause[0] if cause else 'no reason given'}",
            "experiments need a git repository with a commit: `dvc exp show` says more",
        )
    folder = Path.cwd().relative_to(paths.root_of(Path.cwd()))
    return list(parse([_of_model(row, folder) for row in json.loads(done.stdout)]))


def _of_model(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Leave in a row the files of one model, since DVC lists the params and metrics of all models of a project."""
    for kind in ("params", "metrics"):
        files = (row.get("data") or {}).get(kind) or {}
        for path in map(Path, tuple(files)):
            if not path.is_relative_to(folder) or path.relative_to(folder).is_relative_to(paths.USE_CASES):
                del files[str(path)]
    for group in row.get("experiments") or ():
        group["revs"] = [_of_model(revision, folder) for revision in group["revs"]]
    return row


def parse(rows: Sequence[Mapping[str, Any]]) -> Iterator[Experiment]:
    """Yield each row of `dvc exp show --json`; parameters are held against the commit that the row starts from."""
    commits = [row for row in rows if row["rev"] != "workspace"]
    for row in rows:
        against = commits[0] if row["rev"] == "workspace" and commits else row
        yield _experiment(row, row, against, None)
        for group in row["experiments"] or ():
            for revision in group["revs"]:
                yield _experiment(revision, group, row, group["executor"])


def _experiment(
    row: Mapping[str, Any], named: Mapping[str, Any], against: Mapping[str, Any], executor: Mapping[str, Any] | None
) -> Experiment:
    data, error = row["data"] or {}, row["error"] or {}
    state = (executor or {}).get("state", "success")
    state = "failed" if error else DONE if state == "success" else state
    values, base = _leaves(data, "params"), _leaves(against["data"] or {}, "params")
    changed = {key: values.get(key) for key in sorted({*values, *base}) if values.get(key) != base.get(key)}
    return Experiment(
        name=named["name"] or row["rev"],
        rev=row["rev"],
        state=state,
        created=data.get("timestamp") or "",
        baseline=against["rev"] if against is not row else "",
        params=changed,
        # Until it has run, DVC shows the figures of the baseline under an experiment's name.
        metrics=_leaves(data, "metrics") if state == DONE else {},
        error=error.get("msg", ""),
    )


def _leaves(data: Mapping[str, Any], kind: str) -> dict[str, Any]:
    files = [file.get("data") or {} for _, file in sorted((data.get(kind) or {}).items())]
    return {key: value for content in files for key, value in _flat(content, "")}


def _flat(content: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield each leaf under its name in `dvc exp run --set-param`."""
    listed = isinstance(content, list) and any(isinstance(item, Mapping) for item in content)
    if content and (listed or isinstance(content, Mapping)):
        for key, value in content.items() if isinstance(content, Mapping) else enumerate(content):
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content


def run_of(experiment: Experiment, logged: Sequence[LoggedRun]) -> LoggedRun | None:
    """Return the newest run with an experiment's dvc.lock, the experiment's own if there are several.

    An experiment that DVC satisfied from its cache has no run of its own: then it is that of the same inputs.
    """
    digest = _lock_digest(experiment) if experiment.state == DONE else ""
    same = [run for run in logged if run.tags.get("dvc_lock") == digest]
    named = [run for run in same if run.tags.get("dvc_exp_name") == experiment.name]
    return next(iter((*named, *same)), None)


def _lock_digest(experiment: Experiment) -> str:
    if experiment.rev == "workspace":
        return provenance.lock_digest()
    text = provenance.git("show", f"{experiment.rev}:./{paths.LOCK}")
    return provenance.digest_of_lock(text) if text else ""
