"""Put the evaluated model into the registry, once."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from lockstep import decision as decisions
from lockstep import files, paths
from lockstep.config import params_file
from lockstep.config.params import RegisterModel
from lockstep.config.settings import Settings
from lockstep.decision import EVALUATED_TAG, Decision
from lockstep.drift.profile import Profile
from lockstep.inference import predictor
from lockstep.lifecycle import search_runs, wandb
from lockstep.modeling import serialization
from lockstep.registry import provenance, runs, tracking, tracking_server
from lockstep.registry.bundle import contents, package_model
from lockstep.registry.model_registry import FILES_TAG, TRAINED_ON_TAG, Registry, Version

log = logging.getLogger("register_model")

NEEDED = ("scikit-learn", "skops", "pandas", "numpy", "scipy", "treelite")
REPORTS = (
    *(paths.METRICS, paths.PER_CLASS, paths.PREDICTIONS, paths.CURVES),
    *(paths.GATE, paths.SEARCH, paths.DATA_REPORT, paths.EVALUATION, paths.POINTS),
)
MIRRORED = (paths.METRICS, paths.EVALUATION, paths.GATE, paths.SEARCH)


def record(params: RegisterModel, settings: Settings) -> None:
    """Register the model; in an experiment of DVC log only its run, since experiments may be discarded.

    Raises ArtifactError: the pipeline has not been run, so there is no model.
    Raises TrackingError: the tracking server is out of reach; run it again later, and one run is made.
    """
    if not settings.exp_name:
        register(params, settings)
        return
    digest = _checked()
    registry = Registry(tracking.connect(settings), params.model_name)
    client = registry.client
    origin = provenance.experiment(settings)
    run = runs.find(client, params.experiment, _identity(digest, params) | origin)
    run_id = run.run_id if run else _log(client, params, settings, origin)[0]
    version = registry.find(digest)
    log.info("experiment %s is the run %s; `lockstep promote` registers its model", settings.exp_name, run_id)
    _tell(params.model_name, run_id, version.version if version else "")


def register(params: RegisterModel, settings: Settings) -> Version:
    """Return the version of the model in models/, made now unless its digest is registered already.

    Raises ArtifactError: the pipeline has not been run, so there is no model.
    Raises TrackingError: the tracking server is out of reach; run it again later, and one version is made.
    """
    digest = _checked()
    registry = Registry(tracking.connect(settings), params.model_name)
    client = registry.client
    if version := registry.find(digest):
        version = registry.tag(version, _verdict())
        restore_files(registry, version)
        log.info("%s version %s is this model already", params.model_name, version.version)
    else:
        run = runs.find(client, params.experiment, _identity(digest, params))
        run_id, uri = (run.run_id, run.artifact_uri) if run else _log(client, params, settings, {})
        version = registry.create(run_id, uri, _tags(digest) | (_origin(run.tags) if run else {}))
        log.info("registered %s version %s", params.model_name, version.version)
    _tell(version.name, version.run_id, version.version)
    return version


def restore_files(registry: Registry, version: Version) -> None:
    """Upload the files of a version again if they are gone from the tracking server and models/ holds that version.

    Raises RegistryError: they are gone, and models/ holds another version.
    """
    missing = registry.missing_files(version)
    if not missing:
        return
    if not predictor.holds(paths.MODELS, version.sha256):
        registry.require_files(version)
    with _packaged() as model:
        tracking.log_model(registry.client, version.run_id, model)
    registry.require_files(version)
    log.warning("the files of version %s were gone, and are uploaded again: %s", version.version, ", ".join(missing))


def log_pages(settings: Settings) -> None:
    """Log the drawn report pages with the run of the model in models/.

    Raises ArtifactError: the model has no run.
    Raises TrackingError: the tracking server is out of reach.
    """
    run_id = predictor.read_json(paths.EXPERIMENT_INFO)["run_id"]
    tracking.log_reports(tracking.connect(settings), run_id, (paths.DATA_PAGE, paths.REPORT))


def _checked() -> str:
    """Return the digest of the model in models/, all of whose files can be read."""
    digest = predictor.digest(paths.MODELS)
    serialization.check(paths.MODEL.read_bytes(), str(paths.MODEL))
    for name in (paths.SCHEMA, paths.SMOKE):
        predictor.read_json(name)
    Profile.load(paths.MODELS)
    return digest


def _identity(digest: str, params: RegisterModel) -> dict[str, str]:
    """Return the tags of a run of this very model, made of the same inputs and under the same name."""
    return {"sha256": digest, "dvc_lock": provenance.lock_digest(), "model_name": params.model_name}


def _origin(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: tags[name] for name in provenance.EXPERIMENT if name in tags}


def _tell(model_name: str, run_id: str, version: str) -> None:
    info = {"model_name": model_name, "model_path": tracking.MODEL_FOLDER, "run_id": run_id, "version": version}
    files.write_json(info, paths.EXPERIMENT_INFO)


def _log(client: Any, params: RegisterModel, settings: Settings, origin: Mapping[str, str]) -> tuple[str, str]:
    search, digest, chosen = files.read_json(paths.SEARCH), predictor.digest(paths.MODELS), params_file.load()
    best = search["trials"][search["best"]]
    children, counted, reached = search_runs.read()
    with _packaged() as model:
        run = tracking.Run(
            name=f"{params.model_name}-{origin.get('dvc_exp_name') or best['estimator']}-{digest[:8]}",
            params=dict(flatten(chosen.model_dump()))
            | dict(flatten(best["params"], "best."))
            | {"best": best["estimator"]},
            metrics=_metrics(files.read_json(paths.METRICS)) | reached,
            tags=_tags(digest) | _identity(digest, params) | dict(origin) | counted,
            artifacts=(*REPORTS, *([paths.FUNCTIONS] if chosen.feature_engineering.functions else [])),
            model=model,
            children=children,
        )
        run_id, uri = tracking.log_run(client, params.experiment, run)
    _mirror(client, run_id, run, settings)
    return run_id, uri


@contextmanager
def _packaged() -> Iterator[Path]:
    """Yield a folder with the model in models/ as it is uploaded."""
    trusted = sorted(serialization.check(paths.MODEL.read_bytes(), str(paths.MODEL)))
    with tempfile.TemporaryDirectory() as folder:
        yield package_model(paths.MODELS, Path(folder), [f"{name}=={installed(name)}" for name in NEEDED], trusted)


def _mirror(client: Any, run_id: str, run: tracking.Run, settings: Settings) -> None:
    """Mirror the run if the settings say so."""
    if not settings.wandb_project:
        return
    logged = runs.get(client, run_id)
    copy = wandb.Copy(
        run_id=run_id,
        page=logged.page(tracking_server.resolve(settings)),
        name=run.name,
        group=run.tags.get("dvc_exp_baseline", ""),
        params=run.params,
        metrics=run.metrics,
        tags=run.tags,
        trials=files.read_json(paths.SEARCH)["trials"],
        reports=[path for path in run.artifacts if path in MIRRORED],
    )
    wandb.send(copy, settings)


def _tags(digest: str) -> dict[str, str]:
    return {
        "sha256": digest,
        FILES_TAG: " ".join(contents(paths.MODELS)),
        "model_sha256": files.sha256(paths.MODEL),
        TRAINED_ON_TAG: files.sha256(paths.TRAINED_ON),
        **_verdict(),
        **provenance.describe(),
    }


def _verdict() -> dict[str, str]:
    """Return the verdict of the latest evaluation as tags: with other floors, the same model gets another verdict."""
    decision = Decision.from_json(files.read_json(paths.GATE))
    return {
        "gate": "passed" if decision.passed else "refused",
        "gate_reasons": "; ".join(decision.refusals)[:4000],
        EVALUATED_TAG: decisions.tag(decision),
    }


def _metrics(measured: Mapping[str, Any]) -> dict[str, float]:
    bounds = measured["interval_95"]
    flat = {name: value for name, value in measured.items() if isinstance(value, int | float)}
    return flat | {
        f"{name}_{side}": bound
        for name, pair in bounds.items()
        for side, bound in zip(("low", "high"), pair, strict=True)
    }


def flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf of nested mappings under its dotted name."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
