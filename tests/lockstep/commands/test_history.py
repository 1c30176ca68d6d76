import argparse
import json

import pytest

from lockstep.commands import history
from lockstep.decision import Check, Decision
from lockstep.errors import ConfigError
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry


def arguments(*given):
    parser = argparse.ArgumentParser()
    history.add(parser)
    return parser.parse_args(given)


@pytest.fixture
def named(settings, model_name):
    """The same settings, for a model of this test's own."""
    return settings.__class__(**settings.__dict__ | {"model_name": model_name})


def test_the_help_ends_with_an_example():
    assert history.__doc__.strip().splitlines()[-1] == "Example: lockstep history --json"


@pytest.mark.parametrize("settings", ["local", "dagshub without aliases and stages"], indirect=True)
def test_moves_are_told_newest_first(named, register, registry, capsys):
    register("a"), register("b")
    registry.promote("1", Event(actor="ann", git_commit="0123456789", reason="first"))
    registry.record_refusal("2", Event(actor="ci", reason="accuracy [red]fell[/red] \x1b[2J"))
    registry.promote("2", Event(actor="ann", forced=True))
    assert history.run(arguments("--json"), named) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["production"]) == (registry.name, "2")
    assert [event["action"] for event in told["events"]] == ["promote", "refused", "promote"]
    assert history.run(arguments("--limit", "2"), named) == 0
    page = capsys.readouterr().out
    assert "Production is version 2" in page
    assert "(forced)" in page
    assert "ann" in page
    assert "0123456" not in page
    assert "\x1b" not in page
    assert "[red]" in page


def test_what_the_gate_answered_is_told(local_settings, capsys):
    settings = local_settings.__class__(**local_settings.__dict__ | {"model_name": "gated"})
    registry = Registry(tracking.connect(settings), "gated")
    decision = Decision((Check("no skew", True, "none"), Check("size", False, "20 \x1b MB")), "worse", "7")
    registry.record_refusal("2", Event(reason="too large", decision=decision.to_json()))
    registry.record_refusal("3", Event(reason="from before"))
    assert history.run(arguments(), settings) == 0
    page = capsys.readouterr().out
    assert "gate: worse beside version 7; 2 checks, refused by size" in page
    assert page.count("gate:") == 1
    assert history.run(arguments("--json"), settings) == 0
    assert json.loads(capsys.readouterr().out)["events"][1]["decision"] == decision.to_json()


def test_a_model_that_nobody_registered_has_no_history(local_settings, capsys):
    settings = local_settings.__class__(**local_settings.__dict__ | {"model_name": "new"})
    assert history.run(arguments("--json"), settings) == 0
    assert json.loads(capsys.readouterr().out) == {"model": "new", "production": None, "events": []}
    assert history.run(arguments(), settings) == 0
    assert "nothing is in Production" in capsys.readouterr().out


@pytest.mark.parametrize("settings", ["local", "dagshub without aliases and stages"], indirect=True)
def test_the_history_is_there_also_when_the_serving_version_was_deleted(named, register, registry, capsys):
    register("a")
    registry.promote("1", Event(actor="ann"))
    registry.client.delete_model_version(registry.name, "1")
    assert history.run(arguments("--json"), named) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["production"], len(told["events"])) == (None, 1)


def test_outside_a_project_the_name_must_be_given(local_settings):
    with pytest.raises(ConfigError, match=r"params\.yaml not found"):
        history.run(arguments(), local_settings)


def test_nothing_is_read_from_a_server_without_a_registry(settings_for, dagshub_like):
    from lockstep.errors import TrackingError
    from tests.lockstep import dagshub_like as fake

    address, _ = dagshub_like(*fake.REGISTRY)
    settings = settings_for(MLFLOW_TRACKING_URI=address, LOCKSTEP_MODEL_NAME="m")
    with pytest.raises(TrackingError, match="has no model registry"):
        history.run(arguments(), settings)
    with pytest.raises(TrackingError, match="has no model registry"):
        Registry(tracking.connect(settings), "m").promote("1", Event())
