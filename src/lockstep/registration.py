"""Put the evaluated model into the registry, once."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from lockstep import artifact, config, decisions, files, paths, provenance, tracking
from lockstep.config import Settings
from lockstep.decisions import EVALUATED_TAG, Decision
from lockstep.modeling import predictor
from lockstep.monitoring.profile import Profile
from lockstep.package import contents, package_model
from lockstep.registry import FILES_TAG, TRAINED_ON_TAG, Registry, Version
from lockstep.sections import RegisterModel

log = logging.getLogger("register_model")

NEEDED = ("scikit-learn", "skops", "pandas", "numpy", "scipy")
REPORTS = (
    *(paths.METRICS, paths.PER_CLASS, paths.PREDICTIONS, paths.CURVES, paths.PLOTS),
    *(paths.GATE, paths.SEARCH, paths.DATA_REPORT, paths.DATA_PAGE),
)


def register(params: RegisterModel, settings: Settings) -> Version:
    """Return the version of the model in models/, made now unless its digest is registered already.

    Raises
    ------
    ArtifactError
        The pipeline has not been run, so there is no model.
    TrackingError
        The tracking server is out of reach; run it again later, and one version is made.
    """
    digest = predictor.digest(paths.MODELS)
    artifact.check(paths.MODEL.read_bytes(), str(paths.MODEL))
    for name in (paths.SCHEMA, paths.SMOKE):
        predictor.read_json(name)
    Profile.load(paths.MODELS)
    client = tracking.connect(settings)
    registry = Registry(client, params.model_name)
    version = registry.find(digest)
    if version:
        version = registry.tag(version, _verdict())
        log.info("%s version %s is this model already", params.model_name, version.version)
    else:
        run_id, uri = _log(client, params, digest)
        version = registry.create(run_id, uri, _tags(digest))
        log.info("registered %s version %s", params.model_name, version.version)
    info = {
        "model_name": version.name,
        "model_path": tracking.MODEL_FOLDER,
        "run_id": version.run_id,
        "version": version.version,
    }
    files.write_json(info, paths.EXPERIMENT_INFO)
    return version


def _log(client: Any, params: RegisterModel, digest: str) -> tuple[str, str]:
    search = files.read_json(paths.SEARCH)
    best = search["trials"][search["best"]]
    trusted = sorted(artifact.check(paths.MODEL.read_bytes(), str(paths.MODEL)))
    with tempfile.TemporaryDirectory() as folder:
        model = package_model(paths.MODELS, Path(folder), [f"{name}=={installed(name)}" for name in NEEDED], trusted)
        run = tracking.Run(
            name=f"{params.model_name}-{best['estimator']}-{digest[:8]}",
            params=dict(flatten(config.load().model_dump()))
            | dict(flatten(best["params"], "best."))
            | {"best": best["estimator"]},
            metrics=_metrics(files.read_json(paths.METRICS)),
            tags=_tags(digest),
            artifacts=REPORTS,
            model=model,
        )
        return tracking.log_run(client, params.experiment, run)


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
    """Return what the latest evaluation says of the model: with other floors, the same model gets another verdict."""
    decision = Decision.from_json(files.read_json(paths.GATE))
    return {
        "gate": "passed" if decision.passed else "refused",
        "gate_reasons": "; ".join(decision.refusals)[:4000],
        EVALUATED_TAG: decisions.tag(decision),
    }


def _metrics(measured: Mapping[str, Any]) -> dict[str, float]:
    bounds = measured["interval_95"]
    flat = {name: value for name, value in measured.items() if name != "interval_95"}
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
