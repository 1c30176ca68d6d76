import pytest

from scripts import gauntlet, odd_tables
from scripts.odd_columns import KINDS, SCRIPTS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_small_odd_table_gives_as_good_a_model_as_its_clean_form(monkeypatch, seed):
    monkeypatch.setattr(odd_tables, "TEST_ROWS", 400)
    monkeypatch.setattr(odd_tables, "MOST_COLUMNS", 4)
    outcome = gauntlet.run_table(seed)
    assert outcome.fault == ""
    assert outcome.close
    assert outcome.test_rows > 300


def test_a_table_that_fails_or_is_worse_is_an_error(capsys, monkeypatch):
    table = odd_tables.make(0)
    fine = gauntlet.Outcome(0, table, odd=0.9, clean=0.9, test_rows=2500)
    worse = gauntlet.Outcome(1, table, odd=0.8, clean=0.9, test_rows=2500)
    assert gauntlet.summary([fine] * 19 + [worse], 1.0) == 0
    assert gauntlet.summary([fine] * 18 + [worse] * 2, 1.0) == 1
    assert gauntlet.summary([fine, gauntlet.Outcome(2, table, fault="Traceback")], 1.0) == 1
    assert "Traceback" in capsys.readouterr().out
    assert gauntlet.summary([gauntlet.Outcome(3, table, odd=1.0, clean=1.0, test_rows=100)], 1.0) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_has_a_cell_a_value_and_an_effect_for_each_row(kind):
    draw = odd_tables.np.random.default_rng(0)
    column = KINDS[kind][0](draw, 50, SCRIPTS["german"])
    assert len(column.cells) == len(column.values) == len(column.effect) == 50


def test_the_same_seed_gives_the_same_table(tmp_path):
    first, second = (odd_tables.make(4).write_odd(tmp_path)[0].read_bytes() for _ in range(2))
    assert first == second
