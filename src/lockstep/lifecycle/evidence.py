"""The evidence that the gate decides on: of a version, of its serving cost, and of the champion on the same rows."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lockstep import decision, files, paths
from lockstep.config.params import Params
from lockstep.data import cleaning, parquet, row_hashes
from lockstep.data.record import DataRecord
from lockstep.data.schema import Schema, label_name
from lockstep.decision import EVALUATED_TAG, Check, Decision
from lockstep.errors import ArtifactError, DataError
from lockstep.gate import checks as gates
from lockstep.gate.champion import PairedScores, same_clients
from lockstep.gate.checks import CandidateEvidence, ChampionEvidence, Cost, GateRules
from lockstep.inference import latency, predictor
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores, slices
from lockstep.metrics.slices import Rows, Slice
from lockstep.registry.bundle import contents
from lockstep.registry.model_registry import TRAINED_ON_TAG, Registry, Version


def gate_decision(
    registry: Registry, version: Version, champion: Version | None, params: Params, rolled_back: str = ""
) -> Decision:
    """Return the gate's decision on evaluation checks, serving cost and paired scores with the champion."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = _bundle(registry, version, Path(folder))
        model = Predictor.load(bundle, version.sha256)
        one_row_ms = latency.of_bundle(model, bundle).one_row_ms
        cost = Cost(one_row_ms, sum((bundle / name).stat().st_size for name in contents(bundle)) / 1e6)
        candidate = CandidateEvidence(
            model.schema, recorded=evaluation_checks(version), cost=cost, rolled_back=rolled_back
        )
        metric = scores.primary(params.model_building.metric, model.schema.task)
        rules = GateRules.of(metric, model.schema.task, params.model_evaluation)
        if champion is None:
            return gates.decide(candidate, None, rules)
        champion_model = Predictor.load(registry.download(champion, Path(folder, "champion")), champion.sha256)
    paired = None
    if same_clients(model.schema, champion_model.schema).passed:
        test = read_test_rows(model)
        fair = fair_rows(registry, (version, champion), test, model.schema)
        origins = _origins(len(test))
        parts = (*slices.cut(test, model.schema), *_labels_of_source(test, model.schema, origins))
        paired = PairedScores(model.score(test), champion_model.score(test), parts, fair, origins)
    return gates.decide(candidate, ChampionEvidence(champion.version, champion_model.schema, paired), rules)


def evaluation_checks(version: Version) -> tuple[Check, ...]:
    """Return the checks of a version's evaluation; older versions have only its verdict with the reasons."""
    checks = decision.from_tag(version.tags.get(EVALUATED_TAG, ""))
    passed = version.tags.get("gate") == "passed"
    if checks and checks.checks and checks.passed == passed:
        return checks.checks
    return (Check("evaluation", passed, version.tags.get("gate_reasons") or _verdict(passed)),)


def _verdict(passed: bool) -> str:
    return "the evaluation passed it" if passed else "the evaluation refused it"


def read_test_rows(model: Predictor) -> pd.DataFrame:
    """Return the pipeline's test rows in canonical form. Raises DataError: they are gone, or of other data."""
    test = parquet.read(paths.TEST)
    needed = {*model.schema.kinds, model.schema.target}
    if missing := sorted(needed - set(test.columns)):
        raise DataError(
            f"{paths.TEST} has no column {missing[0]!r}: it belongs to another data set",
            "run `dvc repro` with this model's params.yaml first",
        )
    return cleaning.with_kinds(test, model.schema.kinds)


def _bundle(registry: Registry, version: Version, folder: Path) -> Path:
    """Return a folder with a version's files: models/ if that holds the version."""
    if predictor.holds(paths.MODELS, version.sha256):
        return paths.MODELS
    return registry.download(version, folder / "candidate")


def _origins(rows: int) -> tuple[Slice, ...]:
    """Return the test rows (n,) of the source and those of feedback; none where no feedback joined."""
    record = DataRecord.read() if paths.DATA_REPORT.exists() else None
    if record is None or not record.feedback_rows or record.test_rows != rows:
        return ()
    late = np.zeros(rows, bool)
    late[slice(*record.feedback_test_rows)] = True
    return Slice("origin", "source", ~late), Slice("origin", "feedback", late)


def _labels_of_source(test: pd.DataFrame, schema: Schema, origins: Sequence[Slice]) -> Iterator[Slice]:
    """Yield the rows of the source by their label, on which feedback must not make the model blind."""
    names = test[schema.target].map(label_name)
    for source in origins[:1]:
        for label in map(label_name, schema.labels):
            yield Slice(schema.target, label, source.rows & (names == label).to_numpy())


def fair_rows(registry: Registry, versions: tuple[Version, Version], test: pd.DataFrame, schema: Schema) -> Rows | None:
    """Mask the test rows (n,) that both or neither of two versions was trained on; None without records of them.

    Versions from before their train rows were noted are taken to have had the same ones if their source was the same.
    """
    digests = [version.tags.get(TRAINED_ON_TAG, "") for version in versions]
    sources = [version.tags.get("data_sha256", "") for version in versions]
    if (digests[0] and digests[0] == digests[1]) or (not all(digests) and sources[0] and sources[0] == sources[1]):
        return np.ones(len(test), dtype=bool)
    if not all(digests):
        return None
    trained_on, champion_trained_on = (_trained_on(registry, version) for version in versions)
    return row_hashes.fair(row_hashes.hashes(test, schema), trained_on, champion_trained_on)


def _trained_on(registry: Registry, version: Version) -> row_hashes.Hashes:
    with tempfile.TemporaryDirectory() as folder:
        registry.fetch(version, paths.TRAINED_ON.name, Path(folder))
        file = Path(folder, paths.TRAINED_ON.name)
        if files.sha256(file) != version.tags[TRAINED_ON_TAG]:
            raise ArtifactError(
                f"{file.name} of version {version.version} was changed", "register the model again: `dvc repro`"
            )
        return row_hashes.read(file)
