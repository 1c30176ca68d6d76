import msgspec
import pytest

from lockstep.data.sources import s3
from lockstep.errors import ConfigError, DataError
from lockstep.prediction_log.database import Added, PredictionFilter, Store
from lockstep.prediction_log.export import export
from lockstep.prediction_log.importer import import_file
from tests.lockstep.logged_answers import answer, label


@pytest.fixture
def logs(tmp_path):
    """A log with predictions of every kind, and an empty one."""
    opened = [Store.open(f"sqlite:///{tmp_path / name}.db") for name in ("a", "b")]
    opened[0].add(
        [
            answer("p1", "p2", at_us=1_700_000_000_000_001, key='a "b", c'),
            answer("p3", rows=None, share=None, value=2.5, variant="shadow"),
            *(
                label("p1", "no", at_us=5_500_001),
                label("p2", 3.25),
                msgspec.structs.replace(label("p3", True), value=-7.25),
            ),
        ]
    )
    yield opened
    for one in opened:
        one.close()


def content(store):
    return [msgspec.structs.replace(one, seq=0) for one in store.predictions(PredictionFilter(after=0))]


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_what_was_exported_comes_back_whole_and_once(logs, tmp_path, name):
    theirs, ours = logs
    export(theirs, PredictionFilter(), str(tmp_path / name))
    assert import_file(ours, str(tmp_path / name)) == Added(3, 3)
    assert content(ours) == content(theirs)
    assert import_file(ours, str(tmp_path / name)) == Added(0, 0)


def test_an_export_from_before_values_comes_back(logs, tmp_path):
    export(logs[0], PredictionFilter(), str(tmp_path / "log.csv"))
    lines = [line.rpartition(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert lines[0].endswith(",labelled_at")
    (tmp_path / "older.csv").write_text("\n".join(lines) + "\n")
    assert import_file(logs[1], str(tmp_path / "older.csv")) == Added(3, 3)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("log.txt", "", "must end with"),
        ("gone.csv", None, "is not there"),
        ("other.csv", "id,at\n1,2\n", "row 1: no column 'model'"),
        ("bad.parquet", "PAR1", "no Parquet file"),
    ],
)
def test_what_is_no_export_is_refused(logs, tmp_path, name, text, problem):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=problem) as caught:
        import_file(logs[1], str(tmp_path / name))
    assert caught.value.hint


def test_a_line_that_was_changed_by_hand_is_named(logs, tmp_path):
    export(logs[0], PredictionFilter(), str(tmp_path / "log.csv"))
    lines = (tmp_path / "log.csv").read_text().replace(",1000,", ",soon,", 1)
    (tmp_path / "log.csv").write_text(lines)
    with pytest.raises(ConfigError, match=r"row 1: .*soon"):
        import_file(logs[1], str(tmp_path / "log.csv"))


@pytest.mark.filterwarnings("default")
def test_a_bucket_out_of_reach_is_told(logs, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with pytest.raises(DataError, match="Could not connect"):
        import_file(logs[1], "s3://own/log.csv")
