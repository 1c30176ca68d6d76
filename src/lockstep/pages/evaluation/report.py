"""Draw reports/report.html from the records of the pipeline and the gate's decision."""

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.decision import Decision
from lockstep.inference import latency, predictor
from lockstep.inference.predictor import Predictor
from lockstep.metrics.evaluation_record import Evaluation
from lockstep.modeling.search import checkpoint
from lockstep.pages.evaluation import page


def draw(decision: Decision | None, note: str = "") -> None:
    """Write reports/report.html; without a decision of the whole gate, that of the evaluation is shown and `note` why.

    Raises ArtifactError: the pipeline has not been run, or a file is damaged.
    """
    record = Evaluation.from_json(predictor.read_json(paths.EVALUATION), str(paths.EVALUATION))
    model = Predictor.load(paths.MODELS)
    content = page.ReportContent(
        name=params_file.load().register_model.model_name,
        facts=record,
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
