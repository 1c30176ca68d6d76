"""Read what the pipeline has written, ask Production and the clock, and draw the report."""

from collections.abc import Mapping
from typing import Any

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.data import cleaning, frames, parquet
from lockstep.errors import ArtifactError
from lockstep.inference import predictor
from lockstep.inference.predictor import Predictor
from lockstep.modeling.search import checkpoint
from lockstep.pages.evaluation import champion, latency, page
from lockstep.pages.evaluation.champion import Candidate
from lockstep.registry.model_registry import Registry

FORMAT = 1
"""The format of reports/evaluation.json that is understood here."""


def draw(registry: Registry | None, note: str = "") -> None:
    """Write reports/report.html from the files of the pipeline; without a registry, `note` says why.

    Raises
    ------
    ArtifactError
        The pipeline has not been run, or a file is damaged.
    """
    params = params_file.load()
    facts = _facts()
    model = Predictor.load(paths.MODELS)
    test = cleaning.with_kinds(parquet.read(paths.TEST), model.schema.kinds)
    beside: Mapping[str, Any] = {"note": note}
    if registry:
        own = Candidate(model, predictor.digest(paths.MODELS), test, facts["metric"])
        beside = champion.beside(registry, own, params.model_evaluation)
    content = page.Content(
        name=params.register_model.model_name,
        facts=facts,
        gate=predictor.read_json(paths.GATE),
        search=predictor.read_json(paths.SEARCH),
        champion=beside,
        timing=latency.measure(model, frames.rows_of(test, model.schema)),
        fitting=checkpoint.timings(paths.SEARCHES, paths.SEARCH),
    )
    files.write_bytes(page.html(content).encode(), paths.REPORT)


def _facts() -> Mapping[str, Any]:
    found: Mapping[str, Any] = predictor.read_json(paths.EVALUATION)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ArtifactError(f"{paths.EVALUATION} is of another format", "run `dvc repro`")
    return found
