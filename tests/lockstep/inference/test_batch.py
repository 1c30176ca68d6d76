import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lockstep.config.params import Reader
from lockstep.errors import DataError
from lockstep.inference import batch
from lockstep.inference.predictor import Predictor
from tests.flask_app import standins


@pytest.fixture(scope="module", params=["binary", "regression"])
def task(request):
    return request.param


@pytest.fixture(scope="module")
def predictor(task, tmp_path_factory):
    return Predictor.load(standins.make_bundle(task, tmp_path_factory.mktemp("bundle")))


@pytest.fixture
def rows(task):
    frame, _ = standins.make_frame(task)
    return frame.drop(columns="outcome").assign(note=None)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_rows_come_out_as_they_went_in_beside_what_the_model_says(predictor, rows, tmp_path, monkeypatch, ending):
    monkeypatch.setattr(batch, "CHUNK_ROWS", 7)
    rows.to_parquet(tmp_path / "in.parquet")
    seen = []
    found = batch.score_file(predictor, tmp_path / "in.parquet", tmp_path / f"out{ending}", Reader(), seen.append)
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}[ending](tmp_path / f"out{ending}")
    assert found == len(rows) == sum(seen) == len(read)
    assert max(seen) == 7
    expected = predictor.predict_frame(rows)
    assert read["prediction"].tolist() == expected.values
    for place, name in enumerate(predictor.label_names):
        assert read[f"probability_{name}"].tolist() == [own[place] for own in expected.shares]
    assert list(read.columns)[: len(rows.columns)] == list(rows.columns)


def test_types_of_parquet_are_kept_where_the_first_piece_holds_none_of_the_values(
    predictor, rows, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch, "CHUNK_ROWS", 7)
    noted = pa.array([None] * 10 + ["late"] * (len(rows) - 10), pa.string())
    numbered = pa.array([None] * 10 + [2**40] * (len(rows) - 10), pa.int64())
    table = pa.Table.from_pandas(rows.drop(columns="note"), preserve_index=False)
    table = table.append_column("note", noted).append_column("number", numbered)
    pq.write_table(table, tmp_path / "in.parquet")
    batch.score_file(predictor, tmp_path / "in.parquet", tmp_path / "out.parquet", Reader())
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(table.column_names).equals(table.replace_schema_metadata())


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_part_without_rows_has_the_columns_of_the_others(predictor, rows, tmp_path, ending):
    """Spark leaves such parts; a table of all parts can be read only if their types agree."""
    table = pa.Table.from_pandas(rows.drop(columns="note"), preserve_index=False)
    for name, own in (("some", table), ("none", table.slice(0, 0))):
        pq.write_table(own, tmp_path / f"{name}.parquet")
        found = batch.score_file(predictor, tmp_path / f"{name}.parquet", tmp_path / f"{name}-out{ending}", Reader())
        assert found == len(own)
    if ending == ".parquet":
        some, none = (pq.read_schema(tmp_path / f"{name}-out.parquet") for name in ("some", "none"))
        assert none.equals(some)
    else:
        header, *lines = (tmp_path / "none-out.csv").read_text().splitlines()
        assert (header, lines) == ((tmp_path / "some-out.csv").read_text().splitlines()[0], [])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"PAR1 and then nothing of the kind", "in.parquet is damaged: ", id="parquet"),
        pytest.param(b"", "in.parquet is not a table with separator .*: No columns", id="empty"),
        pytest.param(b"a,b\n\xff\xfe,2\n", "in.parquet: byte 0xff near line 2 is not utf-8", id="bytes"),
        pytest.param(b"a,b\n1,2\n", "column '.*' is missing", id="columns"),
    ],
)
def test_what_cannot_be_scored_is_named(predictor, tmp_path, content, problem):
    (tmp_path / "in.parquet").write_bytes(content)
    with pytest.raises(DataError, match=problem):
        batch.score_file(predictor, tmp_path / "in.parquet", tmp_path / "out.csv", Reader())


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_column_called_prediction_is_not_overwritten(tmp_path, ending):
    predictor = Predictor.load(standins.make_bundle("binary", tmp_path / "bundle", odd="prediction"))
    rows = standins.make_frame("binary", odd="prediction")[0].drop(columns="outcome")
    rows.to_parquet(tmp_path / "in.parquet")
    batch.score_file(predictor, tmp_path / "in.parquet", tmp_path / f"out{ending}", Reader())
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}[ending](tmp_path / f"out{ending}")
    assert read["prediction"].tolist() == pytest.approx(rows["prediction"].tolist(), nan_ok=True)
    assert read["prediction_"].tolist() == predictor.predict_frame(rows).values
