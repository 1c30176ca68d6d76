"""Mirror of each run on Weights & Biases, where the settings enable it; the run in MLflow is the record.

It is sent by a process of its own: whatever its client does, the stage ends in time, with its own exit code.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.config.settings import Settings
from lockstep.errors import LockstepError, MirrorError, MissingExtra

log = logging.getLogger("mirror")

TIMEOUT_S = 180
CONNECT_TIMEOUT_S = 30
MODES = ("online", "offline", "disabled")
TABLE = "candidates"
REPORTS = "reports"


@dataclass(frozen=True)
class Copy:
    """What the mirror shows of a run: its id and page in MLflow, and what was logged there."""

    run_id: str
    page: str
    name: str
    group: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    trials: Sequence[Mapping[str, Any]] = ()
    reports: Sequence[Path] = ()


def send(copy: Copy, settings: Settings) -> bool:
    """Send a copy if the settings enable it, and return whether it arrived; faults are warned of in one line."""
    if not settings.wandb_project or settings.wandb_mode == "disabled":
        return False
    try:
        _run_sender(copy, settings)
    except LockstepError as error:
        hint = f" ({error.hint})" if error.hint else ""
        log.warning("not mirrored to Weights & Biases, the run is in MLflow alone: %s%s", error.problem, hint)
        return False
    log.info("mirrored to Weights & Biases, project %s (%s)", settings.wandb_project, settings.wandb_mode)
    return True


def _run_sender(copy: Copy, settings: Settings) -> None:
    """Run this module on the copy as a file, with the end of its process and of what that started."""
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "copy.json", Path(folder) / "said"
        file.write_text(json.dumps(_content(copy, settings)), encoding="utf-8")
        command = (sys.executable, "-m", "lockstep.lifecycle.wandb", str(file))
        with output.open("wb") as out:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out,
                env=_environment(settings), start_new_session=True,
            )  # fmt: skip
            try:
                code = child.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise MirrorError(
                    f"no end after {TIMEOUT_S} s", "is the network there? WANDB_MODE=offline waits"
                ) from None
            finally:
                _end(child)
        if code:
            raise _fault(output.read_text(encoding="utf-8", errors="replace"))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the sender and the service that it started, if either is still there."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _environment(settings: Settings) -> dict[str, str]:
    """Hand over the environment, with the key, wherever it was written, and without what reports to anyone else."""
    variables = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}
    return os.environ | variables | ({"WANDB_API_KEY": settings.wandb_key} if settings.wandb_key else {})


def _content(copy: Copy, settings: Settings) -> dict[str, Any]:
    """Return the copy and where it goes as plain values. Raises MirrorError: WANDB_MODE is none that there is."""
    if settings.wandb_mode not in MODES:
        raise MirrorError(f"WANDB_MODE = {settings.wandb_mode!r}", f"it is one of {', '.join(MODES)}")
    folder = paths.current_root() / settings.state
    folder.mkdir(parents=True, exist_ok=True)
    return vars(copy) | {
        "project": settings.wandb_project,
        "entity": settings.wandb_entity or None,
        "mode": settings.wandb_mode,
        "folder": str(folder.absolute()),
        "id": copy.run_id,
        "config": {**copy.params, "mlflow.run_id": copy.run_id, "mlflow.page": copy.page}
        | {f"tags.{name}": value for name, value in copy.tags.items()},
        "reports": [str(path.absolute()) for path in copy.reports if path.is_file()],
    }


def _fault(output: str) -> LockstepError:
    """Turn the last line of the sender into a fault with a hint."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    cause = lines[-1][:300] if lines else "its process ended without a word"
    if cause.startswith("ModuleNotFoundError"):
        return MissingExtra("wandb", "wandb", "to mirror runs")
    if "api_key" in cause or "API key" in cause or "401" in cause:
        return MirrorError(cause, "set WANDB_API_KEY, or WANDB_MODE=offline to keep the copy here")
    return MirrorError(cause, "WANDB_MODE=offline keeps the copy here, WANDB_MODE=disabled makes none")


def main(file: str) -> int:
    """Send the copy in a file; write a fault as the last line."""
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    try:
        _send(content)
    except Exception as error:  # noqa: BLE001 - the rim of this process: whatever it is, the parent warns of it
        sys.stderr.write(f"{type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    return 0


def _send(content: Mapping[str, Any]) -> None:
    import wandb

    quiet = wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, disable_job_creation=True,
        x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True, init_timeout=CONNECT_TIMEOUT_S,
    )  # fmt: skip
    arguments = {name: content[name] for name in ("project", "entity", "mode", "id", "name", "group", "config")}
    with wandb.init(**arguments, dir=content["folder"], notes=content["page"], resume="allow", settings=quiet) as run:
        run.log(_table(content["trials"]) | content["metrics"])
        if content["reports"]:
            artifact = wandb.Artifact(f"reports-{content['id']}", type=REPORTS)
            for path in content["reports"]:
                artifact.add_file(path)
            run.log_artifact(artifact)


def _table(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the candidates as a table: the estimator, its parameters, the mean over the folds."""
    import wandb

    rows: list[Iterable[Any]] = [
        [trial["estimator"], json.dumps(trial["params"], sort_keys=True), _mean(trial["scores"])] for trial in trials
    ]
    return {TABLE: wandb.Table(columns=["estimator", "params", "score"], data=rows)} if rows else {}


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
