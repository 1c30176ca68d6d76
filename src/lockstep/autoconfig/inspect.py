"""From a source to its params.yaml: read a sample, decide how to read all of it, read it, decide the rest."""

import logging
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import pandas as pd

from lockstep.autoconfig import (
    baseline_score,
    column_roles,
    feature_roles,
    params_writer,
    source_reader,
    split_proposals,
    training_plan,
)
from lockstep.autoconfig import target as target_column
from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.source_reader import InitOptions
from lockstep.config import params as sections
from lockstep.config import params_file
from lockstep.config.params import DataIngestion
from lockstep.errors import LockstepError
from lockstep.runtime.progress import Progress

log = logging.getLogger("init")
MOST_ROWS, SEED = 100_000, 0
STEPS = ("reading rows", "deciding on columns", "fitting quick models")
# From such a score of quick models on, something most often tells the target that will not be known beforehand.
TOO_GOOD = 0.99


@dataclass(frozen=True)
class Survey:
    """The text of params.yaml and how it came about."""

    text: str
    decisions: tuple[Choice, ...]
    rows: int


@dataclass(frozen=True)
class SourceSample:
    """The rows that decide, how the source is read, how many rows it has, and what was decided so far."""

    frame: pd.DataFrame
    ingestion: DataIngestion
    rows: int
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class TrainingDraft:
    """What is to be trained, the rows for it, the splits to weigh, and what was decided on the way."""

    target: str
    plan: training_plan.Plan
    frame: pd.DataFrame
    proposals: tuple[split_proposals.Proposal, ...]
    choices: tuple[Choice, ...]
    metric: Choice


def survey(ingestion: DataIngestion, options: InitOptions, password: str = "") -> Survey:
    """Look at a source and write the params.yaml that fits it; a display shows how far it is.

    Raises LockstepError: it cannot be read, or something is missing that only a person knows.
    """
    with Progress("items", "steps of init", len(STEPS), log=log) as progress:
        progress.update(0, STEPS[0])
        sample = read_sample(ingestion, options, password)
        progress.update(1, STEPS[1])
        draft = make_draft(sample.frame, options)
        progress.update(2, STEPS[2])
        text, decisions = _judged(sample, draft, options.name or _name(ingestion))
        progress.update(3)
    return Survey(text, (*sample.choices, *decisions), sample.rows)


def read_sample(ingestion: DataIngestion, options: InitOptions, password: str = "") -> SourceSample:
    """Decide how the source is read and read it; of very many rows, draw some."""
    reader, choices, plain = source_reader.describe(ingestion, options, password)
    table, reader = source_reader.rows(ingestion.model_copy(update={"reader": reader}), plain, password)
    frame, reader, more = source_reader.checked(table, reader, options)
    rows, choices = len(frame), (*choices, *more)
    if rows > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=SEED).sort_index().reset_index(drop=True)
        choices = (*choices, Choice("rows", f"{MOST_ROWS} of {rows}", "drawn at random to decide what follows"))
    return SourceSample(frame, ingestion.model_copy(update={"reader": reader}), rows, choices)


def make_draft(frame: pd.DataFrame, options: InitOptions) -> TrainingDraft:
    """Decide target, task, roles and what is to be trained."""
    target = target_column.choose(frame, options.target)
    findings = column_roles.roles(frame, target)
    task, why = training_plan.decide_task(frame[target])
    rare = training_plan.rare_classes(frame[target], task)
    if rare:
        counts = frame[target].map(frame[target].value_counts())
        frame = frame[frame[target].isna() | (counts >= training_plan.LEAST_IN_CLASS)].reset_index(drop=True)
    overrides = feature_roles.ColumnOverrides(options.keep, options.ignore)
    features = feature_roles.decide(frame, target, task, findings, overrides)
    roles = features.roles
    metric = training_plan.choose_metric(task, frame[target], {"text"} == set(roles.values()) & set(sections.KINDS))
    distinct = feature_roles.distinct(frame, roles, target)
    proposals = tuple(split_proposals.propose(frame, findings, roles, target))
    plan = replace(
        training_plan.make(distinct, target, roles, task, metric.decided),
        trusted=features.trusted,
        positive=training_plan.positive(frame[target]) if task == "binary" else None,
        rare_classes="drop" if rare else "keep",
        drop_duplicates=len(distinct) >= min(training_plan.LEAST_ROWS, frame[target].notna().sum()),
        splits=tuple(proposal.split for proposal in proposals),
    )
    shown = Choice("target", target, target_column.described(frame, target))
    choices = (shown, why, *([rare] if rare else []), *features.decisions)
    return TrainingDraft(target, plan, frame, proposals, choices, metric)


def _judged(sample: SourceSample, draft: TrainingDraft, name: str) -> tuple[str, tuple[Choice, ...]]:
    """Measure quick models, by each proposed split too; return the text of params.yaml and all decisions."""
    quick = params_file.parse(params_writer.render(sample.ingestion, draft.target, draft.plan, None, name))
    baseline, floor = _floor(draft.frame, quick)
    signal = baseline if baseline and baseline.signal else None
    text = params_writer.render(sample.ingestion, draft.target, draft.plan, signal, name)
    params_file.parse(text)
    splits = [
        split_proposals.choice(proposal, baseline, lambda split: _by_split(draft.frame, quick, split))
        for proposal in draft.proposals
    ]
    return text, (*draft.choices, *splits, draft.metric, _candidates(draft.plan), floor)


def _floor(frame: pd.DataFrame, params: sections.Params) -> tuple[baseline_score.Baseline | None, Choice]:
    """Measure quick models, and ask what a gate may ask of the real ones."""
    target = params.data_preprocessing.target
    try:
        baseline = baseline_score.measure(frame, params)
    except (LockstepError, ValueError) as error:
        why = error.problem if isinstance(error, LockstepError) else str(error)
        return None, Choice("floor", "none", f"quick models fail: {why}", "set model_evaluation.floors yourself")
    figures = f"a constant answer gives {baseline.constant:.3f}, quick models {baseline.reached:.3f}"
    if not baseline.signal:
        look = f"the columns tell next to nothing about {target}: is anything missing, or left out wrongly?"
        return baseline, Choice("floor", "none but the constant answer", figures, look)
    look = ""
    if baseline.reached >= TOO_GOOD:
        look = (
            f"quick models reach {baseline.metric} {baseline.reached:.4f}, which is too good for most questions: "
            f"is every column known before {target} is?"
        )
    return baseline, Choice("floor", f"{baseline.metric} {baseline.floor}", figures, look)


def _by_split(frame: pd.DataFrame, params: sections.Params, split: sections.Split) -> baseline_score.Baseline:
    """Measure quick models in folds that respect a split."""
    preprocessing = params.data_preprocessing.model_copy(update={"split": split})
    frame = frame[frame[split.column].notna()]
    return baseline_score.measure(frame, params.model_copy(update={"data_preprocessing": preprocessing}))


def _candidates(plan: training_plan.Plan) -> Choice:
    named = ", ".join(str(candidate["estimator"]) for candidate in plan.candidates)
    return Choice("candidates", named, f"{plan.folds} folds choose among them")


def _name(ingestion: DataIngestion) -> str:
    """Return a name for the model, from that of the source."""
    last = re.split(r"[/:]", ingestion.sources[0].partition("?")[0].rstrip("/"))[-1]
    stem = PurePosixPath(last).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9-]+", "-", stem).strip("-")[:60].lower() or "model"
