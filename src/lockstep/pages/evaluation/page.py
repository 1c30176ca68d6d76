"""The evaluation report as one self-contained HTML file, with a sentence on the meaning of each figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.decision import Decision
from lockstep.html import templates
from lockstep.inference import latency, predictor
from lockstep.inference.latency import MeasuredLatency
from lockstep.inference.predictor import Predictor
from lockstep.metrics.evaluation_record import Evaluation, MetricValue
from lockstep.metrics.scores import METRICS
from lockstep.modeling.search import checkpoint
from lockstep.pages import charts
from lockstep.pages.evaluation import figures, sentences

MOST_TRIALS = 15


@dataclass(frozen=True)
class ReportContent:
    """The records that the page shows: evaluation, gate and search, and the latency measured when it is drawn.

    `evaluated` is the part of the gate that the evaluation decides, `decision` the whole of it, with the comparison
    with the champion; None where the whole gate has not decided on this model, for which `note` has the reason.
    """

    name: str
    facts: Evaluation
    evaluated: Decision
    search: Mapping[str, Any]
    latency: MeasuredLatency
    scorer: str
    decision: Decision | None = None
    note: str = ""
    scorer_note: str = ""
    fitting: Sequence[Mapping[str, float]] = ()

    @property
    def gate(self) -> Decision:
        """Return the most complete decision that there is."""
        return self.decision or self.evaluated


def draw(decision: Decision | None, note: str = "") -> None:
    """Write reports/report.html; without a decision of the whole gate, that of the evaluation is shown and `note` why.

    Raises ArtifactError: the pipeline has not been run, or a file is damaged.
    """
    record = Evaluation.from_json(predictor.read_json(paths.EVALUATION), str(paths.EVALUATION))
    model = Predictor.load(paths.MODELS)
    content = ReportContent(
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
    files.write_bytes(html(content).encode(), paths.REPORT)


def html(of: ReportContent) -> str:
    """Return the page."""
    content = {
        **vars(of),
        "gate": of.gate,
        "champion_note": sentences.of_missing_comparison(of.decision, of.note),
        "headline": headline(of.facts),
        "trials": trials(of.search, of.fitting),
        "trials_in_all": len(of.search["trials"]),
        "style": templates.style("report.css", "monitoring.css", "evaluation.css"),
    }
    return _environment().get_template("evaluation.html").render(content)


def headline(record: Evaluation) -> list[MetricValue]:
    """Return the metrics, that of model selection first."""
    return sorted(record.metrics, key=lambda metric: metric.name != record.metric)


def trials(search: Mapping[str, Any], timings: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return the trials of the search, the chosen one first, then by their mean score, few enough to read.

    `timings` are those of the trials in the same order, or none where no checkpoint of this machine knows.
    """
    rows = [
        {
            "estimator": trial["estimator"],
            "params": ", ".join(f"{name} {value}" for name, value in trial["params"].items()) or "defaults",
            "mean": sum(trial["scores"]) / len(trial["scores"]) if trial["scores"] else None,
            "low": min(trial["scores"], default=None),
            "high": max(trial["scores"], default=None),
            "rows": trial.get("rows"),
            "status": "chosen" if index == search["best"] else trial.get("status", "compared").replace("_", " "),
            "fit_s": timings[index].get("fit_s") if index < len(timings) else None,
        }
        for index, trial in enumerate(search["trials"])
    ]
    sign = -1 if METRICS[search["metric"]].higher_is_better else 1

    def rank(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
        return row["status"] != "chosen", row["mean"] is None, sign * (row["mean"] or 0.0)

    return sorted(rows, key=rank)[:MOST_TRIALS]


def shade(count: int, counts: Sequence[int]) -> int:
    """Return how dark a cell of the confusion matrix is, from 0 to 9, by its share of the row."""
    return round(9 * count / sum(counts)) if sum(counts) else 0


@cache
def _environment() -> Environment:
    return templates.environment(
        {"spelled": charts.spelled}, charts=charts, figures=figures, say=sentences, shade=shade
    )
