import json

import pytest

from lockstep.drift.profile import Profile, scores
from lockstep.drift.results import Interval
from lockstep.errors import ArtifactError
from tests.lockstep.small_profiles import LABELS, Source, make_profile


@pytest.mark.parametrize("task", LABELS)
def test_a_profile_reads_back_the_same(source, task):
    profile = make_profile(source, task)
    content = profile.to_json()

    assert Profile.from_json(content).to_json() == content
    assert content.endswith(b"}\n")
    assert json.loads(content)["thresholds"]["alpha"] == 0.01


def test_equal_rows_give_equal_bytes():
    assert make_profile(Source()).to_json() == make_profile(Source()).to_json()


def test_a_profile_is_small(source):
    assert len(make_profile(source).to_json()) < 60_000


def test_a_profile_knows_rows_missing_values_and_the_evaluation(source):
    profile = make_profile(source)

    assert {feature.name: (feature.rows, feature.missing) for feature in profile.features}["size"] == (1500, 0)
    assert profile.score.rows == 400
    assert profile.evaluation == Interval(0.9, 0.87, 0.93)
    assert sum(profile.mix_baseline().shares) == pytest.approx(1)
    assert make_profile(source, "regression").mix_baseline() is None


def test_rows_become_columns_by_name(profile):
    assert profile.columns([[1.0, "a", None, "x"], [2.0, "b", None, "y"]])["town"] == ["a", "b"]


@pytest.mark.parametrize(
    ("task", "values", "shares", "expected"),
    [
        ("binary", [0, 1], [[0.9, 0.1], [0.2, 0.8]], [0.1, 0.8]),
        ("multiclass", [0, 2], [[0.7, 0.2, 0.1], [0.2, 0.2, 0.6]], [0.7, 0.6]),
        ("regression", [3.0, 4.5], None, [3.0, 4.5]),
    ],
)
def test_scores_are_those_of_the_store(task, values, shares, expected):
    assert scores(task, values, shares).tolist() == expected


DAMAGES = {
    "cut-off": (lambda content: content[:50], "is damaged"),
    "no-json": (lambda content: b"<html>", "is damaged"),
    "other-type": (lambda content: content.replace(b'"rows":1500', b'"rows":"many"'), "is damaged"),
    "unknown-threshold": (lambda content: content.replace(b'"alpha"', b'"alfa"'), "is damaged"),
    "later-format": (lambda content: content.replace(b'"format":1', b'"format":2'), "format 2 is not 1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_profile_is_named(profile, tmp_path, damage):
    change, problem = DAMAGES[damage]
    (tmp_path / "profile.json").write_bytes(change(profile.to_json()))
    with pytest.raises(ArtifactError, match=problem) as refused:
        Profile.load(tmp_path)
    assert "dvc repro" in refused.value.hint


def test_an_older_version_has_no_profile(tmp_path):
    assert Profile.load(tmp_path) is None
