import time

import pytest

from lockstep import cli
from lockstep.prediction_log.database import Store
from tests.lockstep.logged_answers import answer, find

DAY_US = 86_400_000_000


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log with an old prediction and a new one, which the settings name."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    store = Store.open(url)
    now = time.time_ns() // 1000
    store.add([answer("old", at_us=now - 40 * DAY_US), answer("new", at_us=now, version="2")])
    yield store
    store.close()


def test_export(log, tmp_path, capsys):
    assert cli.main(["log", "export", "log.csv"]) == 0
    assert cli.main(["log", "export", "two.parquet", "--version", "2", "--since", "2026-01-01"]) == 0
    assert capsys.readouterr().out == "2 predictions in log.csv\n1 predictions in two.parquet\n"
    assert (tmp_path / "log.csv").read_text().count("\n") == 3


def test_import(log, tmp_path, monkeypatch, capsys):
    cli.main(["log", "export", "log.csv"])
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    assert cli.main(["log", "import", "log.csv"]) == 0
    assert cli.main(["log", "import", "log.csv"]) == 0
    assert cli.main(["log", "import", "--missing-ok", "gone.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "2 predictions and 0 labels are new, from log.csv",
        "0 predictions and 0 labels are new, from log.csv",
        "gone.csv is not there: nothing is new",
    ]
    with pytest.raises(Exception, match=r"gone\.csv is not there"):
        cli.main(["log", "import", "gone.csv"])


def test_prune(log, capsys):
    assert cli.main(["log", "prune"]) == 0
    assert cli.main(["log", "prune", "--days", "30"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0 predictions older than 90 days deleted",
        "1 predictions older than 30 days deleted",
    ]
    assert (find(log, "old"), find(log, "new").id) == (None, "new")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["prune", "--days", "0"], "nothing would be kept"),
        (["export", "log.csv", "--since", "yesterday"], "'yesterday' is no time"),
        (["export", "log.txt"], "must end with"),
    ],
)
def test_what_makes_no_sense_is_refused(log, words, problem):
    with pytest.raises(Exception, match=problem):
        cli.main(["log", *words])
