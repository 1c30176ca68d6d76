import argparse
import json

import pytest

from lockstep.commands import labels
from lockstep.config import params_file
from lockstep.errors import ConfigError
from lockstep.prediction_log.database import Store
from tests.lockstep.logged_answers import answer, label
from tests.root import EXAMPLE


@pytest.fixture
def project(monkeypatch):
    params = params_file.parse(EXAMPLE.read_text().replace("model_name: breast-cancer", "model_name: demo"))
    monkeypatch.setattr(params_file, "load", lambda: params)


@pytest.fixture
def settings(local_settings, project):
    """A project whose log has 30 labels that contradict, of one author, and 30 that agree."""
    ids = [f"{source} {index}" for source in ("api", "file") for index in range(30)]
    store = Store.from_settings(local_settings)
    store.add([answer(*ids), *(label(name, "no" if "api" in name else "yes", source=name.split()[0]) for name in ids)])
    store.close()
    return local_settings


def run(settings, *words):
    parser = argparse.ArgumentParser()
    labels.add(parser)
    return labels.run(parser.parse_args(words), settings)


def states(settings, capsys, *words):
    assert run(settings, *words, "--json") == 0
    return {batch["author"]: batch["state"] for batch in json.loads(capsys.readouterr().out)["batches"]}


def test_a_person_accepts_and_rejects_labels(settings, capsys):
    assert states(settings, capsys) == {"api": "waits", "file": "joins"}
    assert states(settings, capsys, "accept", "api", "--reason", "new names") == {"api": "accepted", "file": "joins"}
    assert states(settings, capsys, "reject", "file", "--reason", "a test") == {"api": "accepted", "file": "rejected"}
    assert states(settings, capsys) == {"api": "accepted", "file": "rejected"}


def test_the_table_says_what_waits_and_why(settings, capsys):
    assert run(settings) == 0
    shown = capsys.readouterr().out
    assert "contradict the answers, at most 30% join without a review" in shown
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in shown.splitlines()]
    assert ["1970-01-01", "api", "30", "100%", "30", "waits"] in rows


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("accept", "api"), "needs an author and a reason"),
        (("reject",), "needs an author and a reason"),
        (("accept", "nobody", "--reason", "x"), "'nobody' gave no label"),
    ],
)
def test_half_a_verdict_is_refused_and_changes_nothing(settings, capsys, words, problem):
    with pytest.raises(ConfigError, match=problem):
        run(settings, *words)
    assert states(settings, capsys) == {"api": "waits", "file": "joins"}


def test_without_labels_the_table_says_so(local_settings, project, capsys):
    assert run(local_settings) == 0
    assert "no labels of logged rows have come yet" in capsys.readouterr().out
