import argparse
import json
import time
from dataclasses import replace

import pytest

from lockstep.commands import drift, quality
from lockstep.config.settings import Settings
from lockstep.drift import results
from lockstep.errors import ConfigError, StoreError
from tests.flask_app import standins
from tests.lockstep.monitoring.log import Log


def arguments(command, *given):
    parser = argparse.ArgumentParser()
    command.add(parser)
    return parser.parse_args(given)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A snapshot with drift, labels and alerts."""
    folder = tmp_path_factory.mktemp("seen")
    log = Log(folder, standins.make_bundle("binary", folder / "bundle"))
    ids, values = log.answer(log.rows(1000, size=lambda size: size + 30))
    log.label(ids[:600], values[:600])
    found = log.look()
    log.store.close()
    return found


@pytest.fixture
def settings(tmp_path, seen):
    """Settings of a machine on which a recorder looked a moment ago."""
    given = Settings.read({"LOCKSTEP_STATE": str(tmp_path), "LOCKSTEP_MODEL_NAME": "demo"})
    seen.at = time.time()
    results.write(seen, tmp_path / results.FILE)
    return given


@pytest.mark.parametrize("command", [drift, quality])
def test_the_help_ends_with_an_example(command):
    assert command.__doc__.strip().splitlines()[-1].startswith("Example: lockstep")


def test_drift_is_told_to_programs_and_people(settings, capsys):
    assert drift.run(arguments(drift, "--json"), settings) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["version"]) == ("demo", "1")
    assert [window["verdict"] for window in told["windows"]] == ["alarm", "alarm"]
    assert [(alert["kind"], alert["severity"]) for alert in told["alerts"]] == [("drift", "page")]
    assert drift.run(arguments(drift), settings) == 0
    page = capsys.readouterr().out
    assert "demo version 1: alarm over 500 predictions" in page
    assert "2 of the last 2 windows are alarms" in page
    assert "size" in page


def test_quality_is_told_to_programs_and_people(settings, capsys):
    assert quality.run(arguments(quality, "--json"), settings) == 0
    told = json.loads(capsys.readouterr().out)
    assert [window["labels"] for window in told["quality"]["windows"]] == [100, 500]
    assert told["challenge"] is None
    assert quality.run(arguments(quality), settings) == 0
    assert "at the evaluation" in capsys.readouterr().out


def test_the_report_is_one_page(settings, tmp_path, capsys):
    assert drift.run(arguments(drift, "--html", str(tmp_path / "report.html")), settings) == 0
    assert "demo" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_control_characters_in_names_are_shown(settings, seen, tmp_path, capsys):
    seen.models["demo"].drift[0].features[0].name = "[b]\x1b[2J"
    results.write(seen, tmp_path / results.FILE)
    drift.run(arguments(drift), settings)
    page = capsys.readouterr().out
    assert "\x1b[2J" not in page
    assert "[b]\\x1b[2J" in page


def test_an_unknown_model_is_refused_with_the_nearest(settings):
    with pytest.raises(ConfigError, match="did you mean 'demo'"):
        drift.run(arguments(drift), replace(settings, model_name="demos"))


def test_without_a_server_the_log_itself_is_read(tmp_path, capsys):
    """The versions are not known here, since there is no registry; what was logged is."""
    log = Log(
        tmp_path, standins.make_bundle("binary", tmp_path / "bundle"), url=f"sqlite:///{tmp_path / 'lockstep.db'}"
    )
    log.answer(log.rows(600))
    log.look()
    log.store.close()
    settings = Settings.read({"LOCKSTEP_STATE": str(tmp_path), "LOCKSTEP_MODEL_NAME": "demo"})
    assert drift.run(arguments(drift, "--json"), settings) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], [window["verdict"] for window in told["windows"]]) == ("1", ["quiet"])


@pytest.mark.parametrize("command", [drift, quality])
def test_where_nothing_was_logged_nothing_is_made(command, tmp_path, capsys):
    settings = Settings.read({"LOCKSTEP_STATE": str(tmp_path / "state"), "LOCKSTEP_MODEL_NAME": "demo"})
    assert command.run(arguments(command), settings) == 0
    assert "demo: no " in capsys.readouterr().out
    assert not (tmp_path / "state").exists()


def test_a_database_out_of_reach_is_a_failure(settings, tmp_path):
    away = replace(settings, state=str(tmp_path / "other"), database_url="postgresql://127.0.0.1:1/none")
    with pytest.raises(StoreError):
        drift.run(arguments(drift), away)
