"""The tracking server: how to reach it, what its faults mean, and how a run gets onto it."""

import logging
import os
import re
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from lockstep import compat, files
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError
from lockstep.registry.relocation import relocate
from lockstep.registry.tracking_server import SQLITE, TrackingServer, database_of, proxy_hint, redacted, resolve

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

log = logging.getLogger("tracking")

T = TypeVar("T")
MODEL_FOLDER = "model"
REPORTS_FOLDER = "reports"
CHECK_TIMEOUT_S = 8
NEEDS_MLFLOW = "install mlflow beside mlflow-skinny, or set MLFLOW_TRACKING_URI to a server"
PARAM_CHARACTERS = 500  # What the oldest servers still in use accept as the value of a parameter.
NAME_CHARACTERS = 240  # MLflow takes 250 characters in the name of a parameter; a repeated name gets a number.
# What MLflow refuses in the name of a parameter; slashes are left out as well, since it takes them for folders.
REFUSED_IN_NAMES = re.compile(r"[^\w.\- :]")


@dataclass(frozen=True)
class Run:
    """What one execution of the pipeline leaves on the tracking server."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Sequence[Path] = ()
    model: Path | None = None
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    children: Sequence["Run"] = ()
    failed: bool = False


def connect(settings: Settings) -> "MlflowClient":
    """Return a client of the server, which has answered.

    Raises TrackingError: the server is out of reach, refuses the credentials, or is not an MLflow server.
    """
    server = resolve(settings)
    _prepare_environment(server)
    if urlsplit(server.uri).scheme in ("http", "https"):
        _check_server(server)
        return _client(server)
    return _open_store(server)


def prepare(settings: Settings) -> None:
    """Import MLflow before anyone waits the seconds. Raises TrackingError: the settings name no possible server."""
    _prepare_environment(resolve(settings))
    import mlflow  # noqa: F401


def _client(server: TrackingServer) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server.uri, registry_uri=server.uri)


def _prepare_environment(server: TrackingServer) -> None:
    """Tell MLflow through the environment, the one way it listens to, before it is imported."""
    credentials = {"MLFLOW_TRACKING_USERNAME": server.username, "MLFLOW_TRACKING_PASSWORD": server.password}
    for name, value in credentials.items():
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_CONFIGURE_LOGGING="false",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
    )
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def _open_store(server: TrackingServer) -> "MlflowClient":
    """Open a database directly, made first if it is a file that is not there."""
    doing = f"open the tracking store {server.shown}"
    try:
        from sqlalchemy.exc import SQLAlchemyError

        with translated_errors(doing), third_party_warnings():
            _create_local_store(database_of(server.uri))
            _follow_a_move(database_of(server.uri))
            client = _client(server)
            client.search_experiments(max_results=1)
    except ImportError as error:
        raise TrackingError(f"cannot {doing} without the whole of MLflow: {error}", NEEDS_MLFLOW) from None
    except SQLAlchemyError as error:
        raise_tracking_error(doing, error)
    return client


def _follow_a_move(database: Path | None) -> None:
    for folder in relocate(database) if database else []:
        log.warning("the tracking store was at %s, and is read at %s from now on", folder, database)


def _create_local_store(database: Path | None) -> None:
    """Create the database under another name first, so that a killed start leaves none half made."""
    if database is None or database.exists():
        return
    files.private_folder(database.parent)
    partial = database.with_name(f"{database.stem}.{os.getpid()}.partial.db")
    try:
        _migrate(partial)
        partial.chmod(0o600)
        with suppress(FileExistsError):  # another process was faster, and its store is as good
            os.link(partial, database)
    finally:
        for leftover in partial.parent.glob(f"{partial.name}*"):
            leftover.unlink(missing_ok=True)


def _migrate(database: Path) -> None:
    log.info("creating the local tracking store in %s, a few seconds", database.parent)
    compat.create_mlflow_tables(f"{SQLITE}{database}")


def _check_server(server: TrackingServer) -> None:
    """Ask once, with little patience, so that what is wrong can be said plainly."""
    patience = min(CHECK_TIMEOUT_S, int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]))
    try:
        with translated_errors(f"reach the tracking server {server.shown}"):
            answer = compat.mlflow_post(server.uri, "/api/2.0/mlflow/experiments/search", {"max_results": 1}, patience)
        _check_status(server, answer.status_code, answer.headers.get("Content-Type", ""))
    except TrackingError as error:
        raise TrackingError(error.problem, proxy_hint(server.uri) or error.hint) from error.__cause__


def _check_status(server: TrackingServer, status: int, content_type: str) -> None:
    """Raise what an answer to the first question means, unless it is a good one."""
    if status in (401, 403):
        needed = "DAGSHUB_USER_TOKEN" if server.kind == "dagshub" else "MLFLOW_TRACKING_USERNAME and _PASSWORD"
        raise TrackingError(f"{server.shown} refuses these credentials (HTTP {status})", f"check {needed}")
    if status == 404:
        raise TrackingError(
            f"{server.shown} is no MLflow server (HTTP 404)",
            "check DAGSHUB_REPO and the token" if server.kind == "dagshub" else "check MLFLOW_TRACKING_URI",
        )
    if status != 200:
        raise TrackingError(f"{server.shown} answers HTTP {status}", "look at the server's log, or try again later")
    if "json" not in content_type:
        raise TrackingError(
            f"{server.shown} answers with a page, not as an MLflow server does", "check MLFLOW_TRACKING_URI"
        )


def is_unsupported(error: "MlflowException") -> bool:
    """Tell whether the server does not know this call at all, as against knowing no such thing."""
    answer = getattr(error, "json", None)
    if isinstance(answer, dict):
        code = answer.get("error_code")
        return code == "ENDPOINT_NOT_FOUND" or (
            not code and bool(re.search("unsupported endpoint|not found|not allowed", str(answer), re.IGNORECASE))
        )
    return bool(re.search(r"failed with error code (404|405|501)\b|not supported by the store", str(error)))


@contextmanager
def translated_errors(operation: str) -> Iterator[None]:
    """Turn a fault of the server or of the way to it into one line and a hint."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except MlflowException as error:
        if is_unsupported(error):
            raise TrackingError(
                f"cannot {operation}: the server does not know this call",
                "`lockstep doctor` shows what the server supports",
            ) from error
        raise_tracking_error(operation, error)
    except RequestException as error:
        raise_tracking_error(operation, error)


def raise_tracking_error(operation: str, error: Exception) -> NoReturn:
    """Raise a TrackingError that says what could not be done, in one line without credentials."""
    cause = redacted(" ".join(str(error).split()))
    cause = cause if len(cause) <= 300 else f"{cause[:300]}..."
    if re.search(r"timed? ?out|Timeout", cause):
        hint = "the server is slow or hangs; MLFLOW_HTTP_REQUEST_TIMEOUT (seconds) gives it more time"
    elif re.search(r"Max retries|Connection|resolve", cause):
        hint = "is it running, and MLFLOW_TRACKING_URI right? `lockstep doctor` looks"
    elif "out-of-date database schema" in cause:
        hint = "run `mlflow db upgrade` on this database, after a backup"
    else:
        hint = "`lockstep doctor` looks at the server"
    raise TrackingError(f"cannot {operation}: {cause}", hint) from error


@contextmanager
def third_party_warnings() -> Iterator[None]:
    """Keep quiet what MLflow's own use of its libraries warns about."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*noload.*loader strategy")
        yield


def log_run(client: "MlflowClient", experiment: str, run: Run) -> tuple[str, str]:
    """Log a run whole and return its id and the address of its artifacts; a failed one is marked so.

    Raises TrackingError: the server refused a call, or was lost on the way.
    Raises FileNotFoundError: a file to log is missing; then nothing was sent.
    """
    from mlflow.exceptions import MlflowException

    for path in (*run.artifacts, *([run.model] if run.model else [])):
        path.stat()  # MLflow would log a missing folder as an empty one
    with translated_errors(f"log the run {run.name!r}"), _log_if_slow("still sending the run to the tracking server"):
        created = client.create_run(_experiment_id(client, experiment), run_name=run.name, tags=dict(run.tags))
        try:
            _log_contents(client, created.info.run_id, run)
            for child in run.children:
                _log_child_runs(client, created.info, child)
        except BaseException:
            with suppress(MlflowException, OSError):  # the first fault is the one to tell
                client.set_terminated(created.info.run_id, "FAILED")
            raise
        client.set_terminated(created.info.run_id)
    return created.info.run_id, created.info.artifact_uri


def log_reports(client: "MlflowClient", run_id: str, reports: Sequence[Path]) -> None:
    """Add report files to a logged run. Raises TrackingError: the server refused them, or has no such run."""
    with translated_errors(f"log reports with the run {run_id}"):
        for path in reports:
            client.log_artifact(run_id, str(path), REPORTS_FOLDER)


def log_model(client: "MlflowClient", run_id: str, model: Path) -> None:
    """Add the files of a model to a logged run. Raises TrackingError: the server refused, or has no such run."""
    with translated_errors(f"log the model files with the run {run_id}"):
        client.log_artifacts(run_id, str(model), MODEL_FOLDER)


def _log_child_runs(client: "MlflowClient", parent: Any, run: Run) -> None:
    """Log a run below another, in as few calls as there can be."""
    tags = {**run.tags, "mlflow.parentRunId": parent.run_id}
    run_id = client.create_run(parent.experiment_id, run_name=run.name, tags=tags).info.run_id
    _log_contents(client, run_id, run)
    client.set_terminated(run_id, "FAILED" if run.failed else "FINISHED")


def _experiment_id(client: "MlflowClient", name: str) -> str:
    """Find or make the experiment; a local one says where its artifacts go, or MLflow picks the current folder."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        database = database_of(client.tracking_uri)
        location = str(database.parent / "artifacts") if database else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} was deleted", "restore it in the MLflow UI, or name another in params.yaml"
        )
    return str(experiment.experiment_id)


def _log_contents(client: "MlflowClient", run_id: str, run: Run) -> None:
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    names = parameter_names(sorted(run.params))
    params = [Param(names[key], str(value)[:PARAM_CHARACTERS]) for key, value in sorted(run.params.items())]
    metrics = [Metric(key, float(value), now_ms, 0) for key, value in sorted(run.metrics.items())]
    metrics += [
        Metric(key, float(value), now_ms, step)
        for key, values in sorted(run.steps.items())
        for step, value in enumerate(values)
    ]
    batches = zip_longest(_chunks(params, 100), _chunks(metrics, 500), fillvalue=())
    for some_params, some_metrics in batches:
        client.log_batch(run_id, params=some_params, metrics=some_metrics)
    for path in run.artifacts:
        if path.is_dir():
            client.log_artifacts(run_id, str(path), f"{REPORTS_FOLDER}/{path.name}")
        else:
            client.log_artifact(run_id, str(path), REPORTS_FOLDER)
    if run.model:
        client.log_artifacts(run_id, str(run.model), MODEL_FOLDER)


def parameter_names(keys: Sequence[str]) -> dict[str, str]:
    """Return a name that MLflow accepts for each key of params.yaml, which may hold column names of any letters."""
    names: dict[str, str] = {}
    for key in keys:
        name = base = REFUSED_IN_NAMES.sub("_", key)[:NAME_CHARACTERS]
        repeats = 1
        while name in names.values():
            repeats += 1
            name = f"{base}_{repeats}"
        names[key] = name
    return names


def _chunks(items: list[T], size: int) -> list[list[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


@contextmanager
def _log_if_slow(message: str, after_s: float = 3.0) -> Iterator[None]:
    timer = threading.Timer(after_s, log.info, (message,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
