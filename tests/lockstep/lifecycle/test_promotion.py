"""Promotion on a local registry, with small real models and the rows they are held against."""

import json
import shutil
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest

from lockstep import decision, files, paths
from lockstep.commands import promote as command
from lockstep.config.params import Params
from lockstep.data import parquet, row_hashes
from lockstep.data.schema import Schema
from lockstep.decision import GateRefused
from lockstep.drift import results
from lockstep.drift.results import Challenge, Interval, ModelState, Snapshot
from lockstep.errors import ArtifactError, ConfigError
from lockstep.inference.predictor import digest
from lockstep.lifecycle import evidence, promotion
from lockstep.lifecycle.promotion import PromotionRequest
from lockstep.registry import tracking
from lockstep.registry.bundle import contents
from lockstep.registry.model_registry import Registry, Version
from tests.flask_app.standins import make_bundle, make_frame

GOOD, TREE = "good", "tree"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Two models that are about equally good."""
    root = tmp_path_factory.mktemp("bundles")
    return {GOOD: make_bundle("binary", root / GOOD), TREE: make_bundle("binary", root / TREE, "decision_tree")}


@pytest.fixture
def params():
    return Params.model_validate(
        {
            "data_ingestion": {"source": "sklearn:iris"},
            "data_preprocessing": {"target": "outcome"},
            "feature_engineering": {},
            "model_building": {"candidates": [{"estimator": "ridge"}], "metric": "accuracy"},
            "model_evaluation": {"resamples": 200},
            "register_model": {"model_name": "demo"},
        }
    )


@pytest.fixture
def registry(local_settings):
    """An empty registry, in a folder with test rows."""
    frame, _ = make_frame("binary")
    parquet.write(frame, paths.TEST)
    return Registry(tracking.connect(local_settings), "demo")


@pytest.fixture
def version(registry, bundles, tmp_path):
    """Register a bundle, with tags as the stages give them."""

    def act(name, gate="passed", train=None, **tags):
        bundle = bundles[name]
        if train is not None:
            bundle = shutil.copytree(bundle, tmp_path / f"taught {len(train)}")
            schema = Schema.from_json(files.read_json(bundle / paths.SCHEMA.name))
            row_hashes.write(train, schema, bundle / "trained_on.npy")
            tags["trained_on"] = files.sha256(bundle / "trained_on.npy")
        run_id, uri = tracking.log_run(registry.client, "demo", tracking.Run("run", model=bundle))
        made = {"sha256": digest(bundle), "files": " ".join(contents(bundle)), "gate": gate, "data_sha256": "d1"}
        return registry.create(run_id, uri, made | tags).version

    return act


@pytest.fixture
def promote(params, local_settings):
    return lambda *given, **more: promotion.promote(
        params, replace(local_settings, actor="ann"), PromotionRequest(*given, **more)
    )


def test_the_decision_stands_on_the_version_in_the_history_and_in_a_file(registry, version, promote):
    checks = [{"name": "no skew", "passed": True, "reason": "0 of 60"}]
    promote(version(GOOD))
    promote(version(TREE, gate_checks=json.dumps({"checks": checks})), reason="trees")
    (newest, first) = registry.history()
    told = decision.gate_record(registry.get("2").tags).decision
    assert decision.read(newest.decision) == told
    names = [check.name for check in told.checks]
    assert names[0] == "no skew"
    assert {"latency", "size", "clients of the champion", "not worse than the champion"} < set(names)
    assert (told.against, told.verdict) == ("1", "the same within noise")
    assert "against" not in first.decision
    written = files.read_json(paths.DECISION)
    assert (written["version"], written["forced"], written["checks"]) == ("2", False, told.to_json()["checks"])


def test_a_version_from_before_keeps_its_verdict(registry, version, promote):
    promote(version(GOOD))
    with pytest.raises(GateRefused, match="f1 is low") as caught:
        promote(version(TREE, gate="refused", gate_reasons="f1 is low"))
    assert caught.value.decision.checks[0].name == "evaluation"
    refusal = registry.history()[0]
    assert (refusal.action, refusal.version, refusal.reason) == ("refused", "2", "f1 is low")
    assert registry.production().version == "1"


def test_what_was_forced_is_shown_as_forced_for_ever(registry, version, promote, params, local_settings):
    promote(version(GOOD))
    promote(version(TREE, gate="refused", gate_reasons="f1 is low"), force=True, reason="a drill")
    forced = decision.gate_record(registry.get("2").tags).forced
    assert (forced.actor, forced.reason, forced.against) == ("ann", "a drill", "f1 is low")
    registry.tag(registry.get("2"), {"gate": "passed", "gate_reasons": ""})
    promote("1", again=True, reason="back by hand")
    assert not registry.history()[0].forced
    assert promotion.rollback(params, local_settings, "").forced
    promote("1", again=True, reason="away again")
    promote("2", again=True, reason="it passes now")
    assert registry.history()[0].forced
    assert decision.gate_record(registry.get("2").tags).decision.passed
    assert decision.gate_record(registry.get("2").tags).forced == forced


def test_what_was_rolled_back_stays_out(registry, version, promote, params, local_settings):
    promote(version(GOOD))
    promote(version(TREE))
    promotion.rollback(params, replace(local_settings, actor="bob"), "complaints")
    count = len(registry.history())
    stays = promote("2", reason="retrained")
    assert (stays.action, stays.version, stays.previous) == ("refused", "2", "1")
    assert stays.reason.startswith("version 2 was rolled back on 20") and stays.reason.endswith("by bob: complaints")
    with pytest.raises(GateRefused, match="version 2 was rolled back") as caught:
        promote("2", again=True)
    assert "--version 2 --reason" in caught.value.hint
    assert (registry.production().version, len(registry.history())) == ("1", count)
    assert promote("2", again=True, reason="the complaints were about something else").version == "2"
    assert not registry.history()[0].forced
    assert promote("1").version == "1"


def test_rows_that_only_one_was_trained_on_are_left_out(registry, version, promote):
    frame = parquet.read(paths.TEST)
    promote(version(GOOD, train=frame[:8]))
    promote(version(TREE, train=frame[40:41], data_sha256="d2"))
    (told,) = [
        check.reason
        for check in decision.gate_record(registry.get("2").tags).decision.checks
        if check.name == "not worse than the champion"
    ]
    assert "on the same 51 rows" in told
    assert "9 rows are left out, as only one of the two" in told


@pytest.mark.parametrize(
    ("tags", "fair"),
    [
        pytest.param([{"trained_on": "t"}, {"trained_on": "t"}], "all", id="same-rows"),
        pytest.param([{"data_sha256": "d"}, {"data_sha256": "d"}], "all", id="older-of-one-source"),
        pytest.param([{"data_sha256": "d"}, {"data_sha256": "e"}], "unknown", id="older-of-other-sources"),
        pytest.param([{"trained_on": "t", "data_sha256": "d"}, {"data_sha256": "e"}], "unknown", id="one-is-older"),
        pytest.param([{}, {}], "unknown", id="nothing-known"),
    ],
)
def test_without_notes_the_source_tells_who_knows_the_rows(registry, tags, fair):
    found = evidence.fair_rows(
        None, [Version("demo", "1", "", "", "", own) for own in tags], parquet.read(paths.TEST), None
    )
    assert (found is None) == (fair == "unknown")
    assert found is None or found.all()


def test_notes_that_were_changed_are_not_believed(registry, version, promote):
    frame = parquet.read(paths.TEST)
    promote(version(GOOD, train=frame[:8]))
    number = version(TREE, train=frame[:4])
    registry.tag(registry.get(number), {"trained_on": "0" * 64})
    with pytest.raises(ArtifactError, match=r"trained_on\.npy of version 2 was changed"):
        promote(number)
    assert registry.production().version == "1"


def challenged(settings, verdict, value):
    """Let a recorder have seen version 2 beside Production on live labels."""
    difference = None if value is None else Interval(value, value - 0.01, value + 0.01)
    challenge = Challenge("1", "2", 10, "accuracy", 800, 200, difference=difference, verdict=verdict)
    state = ModelState("demo", "", challenge=challenge)
    results.write(Snapshot(time.time(), models={"demo": state}), Path(settings.state) / results.FILE)


def test_a_challenger_that_live_labels_call_worse_is_refused_without_force(
    registry, version, promote, params, local_settings
):
    promote(version(GOOD))
    registry.set_alias("challenger", version(TREE))
    challenged(local_settings, "production better", -0.05)
    with pytest.raises(GateRefused, match=r"accuracy is -0.05 against Production on 200 labels.*production better"):
        promotion.promote_challenger(params, local_settings, PromotionRequest())
    assert (registry.production().version, registry.challenger().version) == ("1", "2")
    forced = promotion.promote_challenger(params, local_settings, PromotionRequest(force=True, reason="the labels lie"))
    assert (forced.version, forced.forced, registry.challenger()) == ("2", True, None)


@pytest.mark.parametrize(("verdict", "value"), [("undecided", None), ("no difference found", 0.0), (None, None)])
def test_a_challenger_passes_where_live_labels_say_nothing_against_it(
    registry, version, promote, params, local_settings, verdict, value
):
    promote(version(GOOD))
    registry.set_alias("challenger", version(TREE))
    if verdict:
        challenged(local_settings, verdict, value)
    settings = replace(local_settings, model_name="demo")
    assert promotion.promote_challenger(params, settings, PromotionRequest()).version == "2"
    checks = {check.name: check for check in decision.gate_record(registry.get("2").tags).decision.checks}
    assert ("too few labels" in checks["not worse on live labels"].reason) == (value is None)


def test_a_budget_for_one_row_is_measured_on_this_machine(registry, version, params, local_settings):
    tight = params.model_evaluation.model_copy(
        update={"gate": params.model_evaluation.gate.model_copy(update={"latency_ms": 1e-6, "size_mb": 1e-6})}
    )
    with pytest.raises(GateRefused) as caught:
        promotion.promote(
            params.model_copy(update={"model_evaluation": tight}), local_settings, PromotionRequest(version(GOOD))
        )
    refused = [check.name for check in caught.value.decision.checks if not check.passed]
    assert refused == ["latency", "size"]


def arguments(*words):
    parser = ArgumentParser()
    command.add(parser)
    return parser.parse_args(words)


@pytest.fixture
def run(params, local_settings, monkeypatch):
    monkeypatch.setattr("lockstep.config.params_file.load", lambda: params)
    return lambda *words: command.run(arguments(*words), local_settings)


def test_a_dry_run_shows_the_checks_and_moves_nothing(registry, version, run, capsys):
    number = version(GOOD)
    assert run("--version", number, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "latency" in shown and "would pass" in shown
    refused = version(TREE, gate="refused", gate_reasons="f1 is low")
    assert run("--version", refused, "--dry-run", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["passed"], told["checks"][0]["reason"]) == ("2", False, "f1 is low")
    assert (registry.production(), registry.history()) == (None, [])


def test_the_present_decision_is_that_of_the_gate_and_moves_nothing(
    registry, version, promote, params, local_settings, bundles
):
    promote(version(GOOD))
    shutil.copytree(bundles[TREE], paths.MODELS)
    assert promotion.present_decision(params, local_settings) is None
    _, asked = promotion.decide(params, local_settings, PromotionRequest(version(TREE)))
    decision = promotion.present_decision(params, local_settings)
    assert (decision.against, decision.verdict, decision.comparison) == ("1", asked.verdict, asked.comparison)
    assert promotion.last_decision(digest(paths.MODELS)) == decision
    assert promotion.last_decision("another digest") is None
    assert registry.production().version == "1"
    promote("2", force=True, reason="it is the newest")
    assert promotion.present_decision(params, local_settings).comparison == decision.comparison


def test_a_refusal_prints_the_checks(registry, version, run, capsys):
    with pytest.raises(GateRefused):
        run("--version", version(TREE, gate="refused", gate_reasons="f1 is low"))
    assert "refused  f1 is low" in capsys.readouterr().err


def test_what_stays_is_told_and_no_failure(registry, version, run, capsys, promote, params, local_settings):
    promote(version(GOOD))
    promote(version(TREE))
    promotion.rollback(params, replace(local_settings, actor="bob"), "complaints")
    told = command._told("demo", "production", promote("2"))
    assert told.endswith("by bob: complaints; version 1 stays in production")


@pytest.mark.parametrize("reason", [[], ["--reason", " "]])
def test_force_needs_a_reason(run, reason):
    with pytest.raises(ConfigError, match="--force needs --reason"):
        run("--force", *reason)
