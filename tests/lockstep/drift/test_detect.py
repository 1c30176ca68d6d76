import msgspec
import numpy as np
import pytest

from lockstep.config import params_file
from lockstep.drift import detect
from lockstep.drift.detect import RowWindow
from scripts import drift_figures, drift_windows
from tests.lockstep.small_profiles import LABELS, make_profile


def named(measured, name):
    return next(feature for feature in measured.features if feature.name == name)


def test_a_window_like_training_is_quiet(source, profile):
    measured = detect.measure(profile, source.window(300))

    assert (measured.verdict, measured.rows) == ("quiet", 300)
    assert [feature.name for feature in measured.features] == [
        *("size", "town", "since", "review (length)", "review (unknown words)", "review (terms)"),
    ]
    assert all(feature.q >= feature.p for feature in measured.features if feature.p is not None)


def test_too_few_rows_are_an_answer_of_their_own(source, profile):
    assert detect.measure(profile, source.window(49)).verdict == "not enough data"
    assert detect.measure(profile, source.window(50)).verdict == "quiet"


CHANGES = {
    "scaled": ("size", lambda value: value * 2, "size"),
    "other-mix": ("town", lambda value: "Kiel" if value == "Ulm" else value, "town"),
    "later": ("since", lambda value: value.replace("2026", "2027"), "since"),
    "longer": ("review", lambda value: f"{value} {value}", "review (length)"),
    "other-language": ("review", lambda value: value.replace("word", "wort"), "review (unknown words)"),
    "other-topic": ("review", lambda value: value.replace("word1 ", "word2 "), "review (terms)"),
    "half-missing": ("size", lambda value: value if value > 10 else None, "size"),
    "new-category": ("town", lambda value: "Köln" if value == "Kiel" else value, "town"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_one_column_is_seen_there(source, profile, change):
    column, alter, name = CHANGES[change]
    columns = source.columns(300)
    drifted = detect.measure(profile, source.window(300, **{column: [alter(value) for value in columns[column]]}))

    assert drifted.verdict == "alarm"
    assert named(drifted, name).alarm
    others = [own.name for own in drifted.features if own.alarm and not own.name.startswith(column)]
    assert others == []


def test_missing_values_are_an_alarm_of_their_own(source, profile):
    columns = source.columns(300)
    holes = [None if place % 20 == 0 else value for place, value in enumerate(columns["size"])]
    size = named(detect.measure(profile, source.window(300, size=holes)), "size")

    assert size.alarm
    assert size.q > 0.01
    assert size.missing == pytest.approx(0.05)
    assert "5.0% missing, in training 0.0%" in size.notes


def test_values_beyond_training_are_an_alarm_though_their_share_is_small(source, profile):
    columns = source.columns(300)
    high = [1000.0 if place % 30 == 0 else value for place, value in enumerate(columns["size"])]
    size = named(detect.measure(profile, source.window(300, size=high)), "size")

    assert size.alarm
    assert size.q > 0.01
    assert size.out_of_range == pytest.approx(1 / 30)
    assert "beyond the range of training" in size.notes[0]


def test_new_categories_are_named(source, profile):
    columns = source.columns(300)
    new = ["<b>" if place % 20 == 0 else value for place, value in enumerate(columns["town"])]
    town = named(detect.measure(profile, source.window(300, town=new)), "town")

    assert town.alarm
    assert town.new_categories == ["<b>"]


def test_a_difference_too_small_to_matter_is_none(source):
    profile = make_profile(source, min_ks=0.3)
    shifted = [value + 1 for value in source.columns(2000)["size"]]
    size = named(detect.measure(profile, source.window(2000, size=shifted)), "size")

    assert size.q < 1e-6
    assert not size.alarm


def test_a_column_that_the_log_does_not_hold_is_left_out(source, profile):
    window = source.window(300)
    kept = {name: values for name, values in window.columns.items() if name != "review"}
    less = RowWindow(window.version, 0.0, 1.0, kept, window.scores, window.answers)
    none = RowWindow(window.version, 0.0, 1.0, {}, window.scores, window.answers)

    assert len(detect.measure(profile, less).features) == 3
    assert detect.measure(profile, none).verdict == "quiet"


def test_a_column_to_ignore_is_ignored(source):
    profile = make_profile(source, ignore=("since",))
    later = ["2031-01-01"] * 300

    assert detect.measure(profile, source.window(300, since=later)).verdict == "quiet"


@pytest.mark.parametrize("task", LABELS)
def test_the_score_is_an_alarm_alone(source, task):
    profile = make_profile(source, task)
    window = source.window(300, task)
    high = np.quantile(window.scores, 0.7)
    moved = np.where(window.scores < high, high, window.scores)
    drifted = detect.measure(profile, RowWindow("1", 0.0, 1.0, window.columns, moved, window.answers))

    assert detect.measure(profile, window).verdict == "quiet"
    assert drifted.verdict == "alarm"
    assert drifted.score.alarm
    assert not any(feature.alarm for feature in drifted.features)


def test_of_several_classes_the_mix_of_answers_counts_too(source):
    profile = make_profile(source, "multiclass")
    window = source.window(300, "multiclass")
    drifted = detect.measure(profile, RowWindow("1", 0.0, 1.0, window.columns, window.scores, [0] * 300))

    assert drifted.score.alarm
    assert "mix of answers" in drifted.score.notes[1]


def test_nothing_but_missing_values_is_measured(source, profile):
    empty = {name: [None] * 300 for name in source.columns(1)}
    measured = detect.measure(profile, source.window(300, **empty))

    assert measured.verdict == "alarm"
    assert [feature.p for feature in measured.features] == [None] * 6
    assert msgspec.json.encode(measured)


@pytest.fixture(scope="module", params=["breast-cancer", "housing"])
def pool(request):
    """Real rows: of an embedded set, and with --long of one with missing values and categories."""
    params = params_file.load(drift_figures.ROOT / "examples" / f"{request.param}.yaml")
    if request.param == "housing":
        place = drift_figures.ROOT.parent / "shared" / "data" / "housing.csv"
        if not request.config.getoption("long") or not place.is_file():
            pytest.skip("needs --long and the rows of housing")
        source = params.data_ingestion.model_copy(update={"source": str(place)})
        params = params.model_copy(update={"data_ingestion": source})
    return drift_windows.prepare(request.param, params)


@pytest.fixture
def share_of_alarms(pool, request):
    runs = 200 if request.config.getoption("long") else 60

    def measure(scenario, rows):
        return drift_figures.rates(pool, scenario, rows, runs, {"ours": drift_figures.ours})["ours"]

    return measure


def test_quiet_windows_of_real_rows_raise_no_alarm_beyond_two_in_a_hundred(share_of_alarms):
    assert share_of_alarms(drift_figures.quiet, 500) <= 0.02


@pytest.mark.parametrize("scenario", ["tilted", "relabelled", "broken"])
def test_real_drift_is_seen_in_95_of_100_windows(share_of_alarms, scenario):
    rows = 500 if scenario == "tilted" else 200

    assert share_of_alarms(getattr(drift_figures, scenario), rows) >= 0.95
