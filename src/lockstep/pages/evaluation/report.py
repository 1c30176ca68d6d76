"""Draw reports/report.html from the records of the pipeline and the gate's decision."""

from collections.abc import Mapping
from typing import Any

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.decision import Decision
from lockstep.errors import ArtifactError
from lockstep.inference import latency, predictor
from lockstep.inference.predictor import Predictor
from lockstep.modeling.search import checkpoint
from lockstep.pages.evaluation import page

FORMAT = 1
"""The format of reports/evaluation.json that is understood here."""


def draw(decision: Decision | None, note: str = "") -> None:
    """Write reports/report.html; without a decision of the whole gate, that of the evaluation is shown and `note` why.

    Raises
    ------
    ArtifactError
        The pipeline has not been run, or a file is damaged.
    """
    facts = _facts()
    model = Predictor.load(paths.MODELS)
    content = page.Content(
        name=params_file.load().register_model.model_name,
        facts=facts,
        evaluated=Decision.from_json(predictor.read_json(paths.GATE)),
        decision=decision,
        note=note,
        search=predictor.read_json(paths.SEARCH),
        latency=latency.of_bundle(model, paths.MODELS),
        scorer=model.scorer.kind,
        scorer_note=model.note,
        fitting=checkpoint.timings(paths.SEARCHES, paths.SEARCH),
    )
    files.write_bytes(page.html(content).encode(), paths.REPORT)


def _facts() -> Mapping[str, Any]:
    facts: Mapping[str, Any] = predictor.read_json(paths.EVALUATION)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ArtifactError(f"{paths.EVALUATION} is of another format", "run `dvc repro`")
    return facts
