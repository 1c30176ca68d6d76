import numpy as np
import pytest

from lockstep.autoconfig.inspect import InitOptions, survey
from lockstep.config import params_file
from lockstep.config.params import DataIngestion
from tests.lockstep.autoconfig.sets import write


def looks_at(result, name):
    return [one.look for one in result.decisions if one.about == "split" and f", {name}?" in one.decided]


@pytest.mark.parametrize("seed", range(10))
def test_rows_of_a_few_people_propose_a_split_by_person(tmp_path, seed):
    """People have columns that identify them, whatever the column that numbers them is called."""
    draw = np.random.default_rng(seed)
    person = np.repeat(np.arange(40), 12)
    level, age = draw.normal(30, 10, 40), draw.permutation(np.arange(40, 80))
    y = level[person] + draw.normal(0, 1, 480)
    lines = [
        f"{p},{age[p]},{draw.normal():.3f},{draw.normal():.3f},{value:.2f}" for p, value in zip(person, y, strict=True)
    ]
    path = write(tmp_path / "rows.csv", ["subject#,age,jitter,shimmer,score", *lines])
    result = survey(DataIngestion(source=str(path)), InitOptions(target="score"))
    (look,) = looks_at(result, "subject#")
    assert "its 40 values have 12 rows each" in look
    assert "a random split hides that" in look
    assert "  # split: {method: group, column: subject#, " in result.text
    assert params_file.parse(result.text).data_preprocessing.split.method == "auto"


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ordered", [True, False])
def test_rows_in_the_order_of_a_date_propose_a_split_by_time(tmp_path, ordered, seed):
    draw = np.random.default_rng(seed)
    days = np.sort(draw.integers(0, 900, 400)) if ordered else draw.integers(0, 900, 400)
    trend = np.cumsum(draw.normal(0, 0.6, 900))
    lines = [
        f"{np.datetime64('2020-01-01') + day},{draw.normal():.3f},{trend[day] + draw.normal(0, 0.3):.3f}"
        for day in days
    ]
    path = write(tmp_path / "rows.csv", ["day,x,y", *lines])
    result = survey(DataIngestion(source=str(path)), InitOptions(target="y"))
    looks = looks_at(result, "day")
    assert len(looks) == ordered
    assert ("# split: {method: time, column: day" in result.text) == ordered
    assert all("on random rows" in look and "on a later day" in look for look in looks)


def test_groups_that_cannot_fill_the_folds_are_proposed_without_a_figure(tmp_path):
    draw = np.random.default_rng(0)
    lines = [f"{i // 20},{i // 20 * 7 % 5 + 3.5},{draw.normal():.3f},{'ab'[i // 20 % 2]}" for i in range(100)]
    path = write(tmp_path / "rows.csv", ["site,height,x,y", *lines])
    result = survey(DataIngestion(source=str(path)), InitOptions(target="y"))
    assert all("take the split by group" in look for look in looks_at(result, "site"))
