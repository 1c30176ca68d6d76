"""Finished runs of the tracking server, found by their tags."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lockstep.registry import tracking
from lockstep.registry.tracking_server import TrackingServer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCAL_PAGES = "http://127.0.0.1:5001"  # Where `make mlflow` shows the local store.


@dataclass(frozen=True)
class LoggedRun:
    """A finished run: its id, the experiment it stands in, where its files are, and its tags."""

    run_id: str
    experiment_id: str
    artifact_uri: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def page(self, server: TrackingServer) -> str:
        """Return the address of the run's page; for the local store, once `make mlflow` shows it."""
        pages = LOCAL_PAGES if server.kind == "local" else server.shown
        return f"{pages}/#/experiments/{self.experiment_id}/runs/{self.run_id}"


def get(client: "MlflowClient", run_id: str) -> LoggedRun:
    """Return a run that is there."""
    with tracking.translated_errors(f"read the run {run_id}"):
        return _logged(client.get_run(run_id))


def find(client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> LoggedRun | None:
    """Return the newest finished run of an experiment of MLflow that carries all these tags."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in sorted(tags.items()))
    return next(_search(client, experiment, wanted), None)


def pipelines(client: "MlflowClient", experiment: str) -> Iterator[LoggedRun]:
    """Yield the finished runs of the pipeline in an experiment of MLflow, newest first."""
    return _search(client, experiment, "tags.dvc_lock != ''")


def _search(client: "MlflowClient", experiment: str, wanted: str) -> Iterator[LoggedRun]:
    with tracking.translated_errors(f"look for runs of {experiment!r}"):
        entity = client.get_experiment_by_name(experiment)
        if entity is None:
            return
        query, token = f"{wanted} and attributes.status = 'FINISHED'", None
        while True:
            page = client.search_runs([entity.experiment_id], query, max_results=500, page_token=token)
            for run in page:
                yield _logged(run)
            token = page.token
            if not token:
                return


def _logged(run: "Run") -> LoggedRun:
    info = run.info
    return LoggedRun(info.run_id, info.experiment_id, info.artifact_uri, dict(run.data.tags))
