import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import scale


def costs(power, sizes=(50_000, 500_000, 5_000_000), peak_gb=1.0):
    """What stages would take that begin in 2 s together and grow with a power of the rows."""
    rows = (scale.START_ROWS, *sizes)
    seconds = [2.0, *(2 + 10 * (size / 1e6) ** power for size in sizes)]
    return [scale.Cost(scale.STAGES[0], size, own, own, peak_gb) for size, own in zip(rows, seconds, strict=True)]


@pytest.mark.parametrize("power", [0.9, 1.0, 1.3])
def test_the_power_is_found_without_the_start(power):
    assert scale.growth(costs(power))["without its start, the two largest sizes"] == pytest.approx(power)
    assert scale.growth(costs(power))["as it is"] < power


def test_what_misses_its_target_is_said():
    assert scale.table(costs(0.9)).count("| yes |") == 3
    assert scale.table(costs(1.3)).count("| NO |") == 1
    assert "| < 8 GB | 8.10 GB | NO |" in scale.table(costs(0.9, peak_gb=8.1))


def test_one_size_has_no_growth():
    assert scale.table(costs(1.0, sizes=(500,))).count("nan") == 2


def test_the_rows_are_mixed_and_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "PIECE", 400)
    for name in ("one", "other"):
        scale.write_rows(tmp_path / name, 1_000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    table = pq.read_table(tmp_path / "one")
    assert table.shape == (1_000, 20)
    kinds = [str(field.type) for field in table.schema]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "double": 10, "int64": 3, "string": 5, "timestamp[us]": 2
    }  # fmt: skip
    assert sum(table[name].null_count > 0 for name in table.column_names) == 8
    assert pa.compute.count_distinct(table["returned"]).as_py() == 2
