import importlib
import json
import random
from pathlib import Path

import pytest
import yaml

from lockstep import paths
from lockstep.autoconfig import baseline_score, inspect
from lockstep.autoconfig.inspect import InitOptions, survey
from lockstep.config import params as sections
from lockstep.config import params_file
from lockstep.config.params import DataIngestion
from lockstep.data import prepare
from lockstep.data.sources import read
from lockstep.errors import DataError
from lockstep.runtime import progress
from tests.lockstep.autoconfig.sets import UNKNOWN, write
from tests.lockstep.data.sources.test_http import here, server  # noqa: F401 - fixtures
from tests.lockstep.data.sources.test_sql import QUERY, database  # noqa: F401 - a fixture
from tests.pipeline.project import DATA

EXPECTED = {
    "adult": {
        "header": "no", "blanks": "cut off", "missing": "'?'", "target": "column_6", "task": "binary",
        "features": "3 numeric, 2 categorical",
    },
    "wine": {"separator": "semicolons", "header": "yes", "task": "multiclass", "features": "3 numeric"},
    "telco": {"customerID": "id", "task": "binary", "features": "4 numeric, 1 categorical"},
    "ames": {"Id": "id", "task": "regression", "features": "37 numeric, 42 categorical"},
    "sms": {"separator": "tabs", "quotes": "part of the text", "header": "no", "features": "1 text"},
    "german": {
        "encoding": "cp1252", "Fläche": "decimals after a comma", "Datum": "date",
        "Jahresmiete": "decimals after a comma; thousands grouped by '.'",
        "task": "regression", "features": "1 numeric, 1 categorical, 1 date",
    },
}  # fmt: skip


def look_at(path, target=None, **options):
    return survey(DataIngestion(source=str(path)), InitOptions(target=target, **options))


def decided(found):
    return {one.about: one.decided for one in found.decisions}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_sets_are_read_as_they_are_meant(tmp_path, name):
    path, target = UNKNOWN[name](tmp_path)
    found = look_at(path, target)
    told = decided(found)
    assert {about: told.get(about) for about in EXPECTED[name]} == EXPECTED[name]
    params = params_file.parse(found.text)
    frame = read.read(params.data_ingestion).frame
    assert len(frame) == found.rows == len(path.read_bytes().splitlines()) - (told["header"] == "yes")
    assert params.model_evaluation.floors
    assert not frame[params.data_preprocessing.target].isna().any()


def run_stages(names):
    for name in names:
        importlib.import_module(name).main(getattr(params_file.load(), name))


STAGES = ("data_ingestion", "data_preprocessing", "feature_engineering", "model_building", "model_evaluation")
REACHED = {
    "adult": ("roc_auc", 0.75), "wine": ("f1_weighted", 0.5), "telco": ("roc_auc", 0.75), "ames": ("r2", 0.9),
    "sms": ("roc_auc", 0.98), "german": ("r2", 0.9),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_sets_give_a_sound_model(tmp_path, monkeypatch, request, name):
    if not request.config.getoption("long"):
        pytest.skip("takes 10 s: --long runs it")
    monkeypatch.chdir(tmp_path)
    path, target = UNKNOWN[name](tmp_path)
    Path("params.yaml").write_text(look_at(path, target).text, encoding="utf-8")
    run_stages(STAGES)
    metric, least = REACHED[name]
    assert json.loads(paths.GATE.read_text())["passed"]
    assert json.loads(paths.METRICS.read_text())[metric] >= least


EXAMPLES = {
    "breast-cancer": ("sklearn:breast_cancer", "target", "roc_auc", 0.9970),
    "iris": ("iris.csv", "species", "f1_weighted", 0.9666),
    "housing": ("housing.csv", "median_house_value", "r2", 0.8373),
    "sentiment": ("imdb.csv.gz", "sentiment", "accuracy", 0.9107),
    "toxicity": ("toxicity.csv.gz", "class", "f1_weighted", 0.8872),
}


@pytest.mark.data
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_reach_without_a_hand_what_they_reach_by_hand(tmp_path, monkeypatch, request, name):
    source, target, metric, by_hand = EXAMPLES[name]
    if not request.config.getoption("long"):
        pytest.skip("takes up to two minutes: --long runs it")
    if not source.startswith("sklearn:"):
        if not (DATA / source).exists():
            pytest.skip(f"{source} is not here")
        source = str(DATA / source)
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(look_at(source, target).text, encoding="utf-8")
    run_stages(STAGES)
    assert json.loads(paths.GATE.read_text())["passed"]
    assert json.loads(paths.METRICS.read_text())[metric] >= by_hand - 0.01


ROWS = [f"{i % 7},{'ab'[i % 2]},{i * 37 % 101}" for i in range(60)]
QUESTIONS = {
    "B23-no-target": (["x,c,y", *ROWS], None, "which column is to be predicted?", "2 c (a, b)"),
    "B23-other-target": (["x,c,price", *ROWS], "prize", "'prize' not found; did you mean 'price'?", "--target takes"),
    "B24-empty-target": (["x,c,y", *[row.rpartition(",")[0] + "," for row in ROWS]], "y", "target is empty", "right"),
    "B26-one-class": (["x,c,z,y", *[f"{row},a" for row in ROWS]], "y", "has one value only, 'a'", "two classes"),
    "names-as-target": (
        ["x,c,y", *[f"{i},a{i % 2},word{i}" for i in range(60)]],
        "y", "holds 60 different texts in 60 rows", "several rows",
    ),
    "too-few-rows": (["x,c,y", *ROWS[:10]], "c", "10 rows with a target are too few", "20 rows"),
    "nothing-left": (["x,c", *[f"7,{'ab'[i % 2]}" for i in range(60)]], "c", "no column is left", "--keep"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "target", "problem", "hint"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_where_nothing_tells_there_is_a_question(tmp_path, lines, target, problem, hint):
    with pytest.raises(DataError) as asked:
        look_at(write(tmp_path / "rows.csv", lines), target)
    assert problem in asked.value.problem
    assert hint in asked.value.hint


def test_a_leak_is_left_out_unless_a_person_keeps_it(tmp_path):
    lines = ["size,paid,left", *[f"{i * 37 % 101},{i % 2},{'ny'[i % 2]}" for i in range(80)]]
    path = write(tmp_path / "rows.csv", lines)
    params = params_file.parse(look_at(path, "left").text)
    assert params.data_preprocessing.columns.ignore == ("paid",)
    kept = params_file.parse(look_at(path, "left", keep=("paid",)).text)
    assert set(kept.data_preprocessing.columns.numeric) == {"size", "paid"}


def test_without_a_signal_no_floor_is_made_up(tmp_path):
    lines = ["x,y", *[f"{i * 7919 % 997},{'ab'[i * 104729 % 991 % 2]}" for i in range(300)]]
    found = look_at(write(tmp_path / "rows.csv", lines), "y")
    assert params_file.parse(found.text).model_evaluation.floors == {}
    assert any("next to nothing" in one.look for one in found.decisions)


@pytest.mark.parametrize(
    ("header", "names"),
    [("x,x,y,z", ("x", "x_2", "y", "z")), ("x,,y,", ("x", "column_2", "y", "column_4"))],
    ids=["B15-twice", "B16-unnamed"],
)
def test_names_that_a_header_lacks_are_made_up_and_told(tmp_path, header, names):
    path = write(tmp_path / "rows.csv", [header, *[f"{row},{i % 5}" for i, row in enumerate(ROWS)]])
    found = look_at(path, "y")
    assert params_file.parse(found.text).data_ingestion.reader.names == names
    assert any("made up" in one.look for one in found.decisions)


def test_a_source_in_the_web_keeps_what_it_needs(server, here):  # noqa: F811
    source = f"{server.at}/whole.csv"
    found = survey(DataIngestion(source=source, allow_private=True), InitOptions(target="bought"))
    params = params_file.parse(found.text)
    assert (params.data_ingestion.source, params.data_ingestion.allow_private) == (source, True)
    assert params.register_model.model_name == "whole"


def test_a_database_keeps_its_query(database):  # noqa: F811
    asked = DataIngestion(source="sqlite:///shop.db", query=QUERY, newest="age")
    params = params_file.parse(survey(asked, InitOptions(target="bought", keep=("age",))).text)
    assert (params.data_ingestion.query, params.data_ingestion.newest) == (QUERY, "age")
    assert params.data_preprocessing.columns.date == ("day",)


def test_files_that_say_themselves_what_they_hold_need_no_reader(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"x": i * 37 % 101, "town": "abc"[i % 3], "y": i % 2}) for i in range(80)]
    params = params_file.parse(look_at(write(path, lines), "y").text)
    assert params.data_ingestion.reader == sections.Reader()
    assert params.data_preprocessing.columns.categorical == ("town",)


def test_what_the_gate_would_refuse_is_left_out_or_trusted(tmp_path):
    """B36: a curve of the target is no copy of it in another unit, but tells it as well."""
    prices = [100 + i * 7919 % 997 + i / 7 for i in range(300)]
    lines = [
        "size,town,log,price",
        *[f"{p / 9 + i * 37 % 101:.2f},{'ab'[i % 2]},{p**3:.1f},{p}" for i, p in enumerate(prices)],
    ]
    path = write(tmp_path / "rows.csv", lines)
    found = params_file.parse(look_at(path, "price").text)
    assert found.data_preprocessing.columns.ignore == ("log",)
    assert found.model_evaluation.trusted == ()
    kept = params_file.parse(look_at(path, "price", keep=("log",)).text)
    assert "log" in kept.data_preprocessing.columns.numeric
    assert kept.model_evaluation.trusted == ("log",)


@pytest.mark.parametrize("seed", range(10))
def test_the_rarer_class_is_the_positive_one_whatever_it_is_called(tmp_path, seed):
    draw = random.Random(seed)
    names = draw.sample(["fraud", "legit", "alpha", "zulu"], 2)
    labels = [names[draw.random() < 0.15] for _ in range(200)]
    rarer = min(names, key=labels.count)
    path = write(
        tmp_path / "rows.csv", ["x,y", *[f"{draw.gauss((label == rarer) * 2, 1)},{label}" for label in labels]]
    )
    params = params_file.parse(look_at(path, "y").text)
    assert params.data_preprocessing.positive == rarer
    measured = baseline_score.measure(
        read.read(params.data_ingestion).frame,
        params.model_copy(
            update={"model_building": params.model_building.model_copy(update={"metric": "average_precision"})}
        ),
    )
    assert measured.constant == pytest.approx(labels.count(rarer) / 200, abs=0.01)
    prepared = prepare.prepare(
        prepare.RawData(read.read(params.data_ingestion).frame, {"source": "x"}), params.data_preprocessing
    )
    assert prepared.record.positive == rarer


@pytest.mark.parametrize("seed", range(10))
def test_an_impossible_target_is_named_and_left_out(tmp_path, seed):
    draw = random.Random(seed)
    values = [round(draw.lognormvariate(0, draw.choice([0.5, 1.0, 2.0])), 2) for _ in range(300)]
    rows = [f"{draw.random():.3f},{value}" for value in values]
    assert not [
        choice for choice in look_at(write(tmp_path / "a.csv", ["x,y", *rows]), "y").decisions if choice.about == "y"
    ]
    rows[7] = "0.5,99999999999"
    found = look_at(write(tmp_path / "b.csv", ["x,y", *rows]), "y")
    assert decided(found)["y"] == "missing: 1e+11"
    assert params_file.parse(found.text).data_ingestion.reader.columns["y"].missing == ("99999999999",)
    assert "y" not in decided(look_at(tmp_path / "b.csv", "y", keep=("y",)))


@pytest.mark.parametrize("seed", range(10))
def test_several_values_in_one_cell_are_a_set(tmp_path, seed):
    draw = random.Random(seed)
    mark, names = (
        draw.choice("|;/"),
        [f"{word} {draw.randint(1, 9)}" for word in ("art", "bio", "chess", "dance", "été")],
    )
    cells = [draw.sample(names, draw.randint(1, 4)) for _ in range(300)]
    lines = [f'"{mark.join(own)}",{len(own)},{int(names[0] in own)}' for own in cells]
    found = look_at(write(tmp_path / "sets.csv", ["tags,n,y", *lines]), "y")
    features = params_file.parse(found.text).feature_engineering
    assert features.text.sets == {"tags": mark}
    assert "several of 5 values" in next(choice.why for choice in found.decisions if choice.about == "tags")


def with_words(folder, seed, words):
    """Write a table whose target follows from numbers alone, beside a column of six random words of these, if any."""
    draw, lines = random.Random(seed), []
    for _ in range(1500):
        x = [draw.gauss(0, 1) for _ in range(5)]
        y = 3 * (x[0] > 0.3) * x[1] + 2 * abs(x[2]) + x[3] * x[0] + draw.gauss(0, 0.3)
        text = " ".join(draw.choices(words, k=6)) if words else draw.random()
        lines.append(f"{','.join(f'{value:.4f}' for value in x)},{text},{y:.4f}")
    return write(folder / f"{len(words)}.csv", ["a,b,c,d,e,text,y", *lines])


@pytest.mark.long("runs the stages on two tables of 1,500 rows")
@pytest.mark.parametrize("seed", range(3))
def test_a_column_of_random_words_takes_no_trees_away(tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)
    reached = []
    for words in ((), [f"word{number}" for number in range(400)]):
        path = with_words(tmp_path, seed, words)
        Path("params.yaml").write_text(look_at(path, "y").text, encoding="utf-8")
        run_stages(STAGES)
        reached.append(json.loads(paths.METRICS.read_text())["r2"])
    assert reached[1] > reached[0] - 0.01
    assert reached[0] > 0.9


def test_odd_cells_reach_the_record_of_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "odd.csv", ["x,y", *[f"{'see below' if i == 7 else i},{i * 3 % 41}" for i in range(90)]])
    Path("params.yaml").write_text(look_at(path, "y").text, encoding="utf-8")
    run_stages(STAGES[:2])
    for record in (paths.SOURCE, paths.DATA_REPORT):
        assert json.loads(record.read_text())["odd_cells"] == {"x": {"count": 1, "examples": ["see below"]}}


@pytest.mark.long("takes 20 s")
def test_thirty_classes_of_six_rows_give_a_model_with_finite_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(30)
    lines = [f"{label + draw.gauss(0, 2):.3f},{draw.random():.3f},c{label}" for label in range(30) for _ in range(6)]
    draw.shuffle(lines)
    path = write(tmp_path / "many.csv", ["x,z,y", *lines])
    Path("params.yaml").write_text(look_at(path, "y").text, encoding="utf-8")
    run_stages(STAGES)
    measured = json.loads(paths.METRICS.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in the metrics"))
    assert len(measured["interval_95"]) == 6
    assert all(low <= high for low, high in measured["interval_95"].values())
    assert "undefined" not in measured


@pytest.mark.parametrize("rows", [1, 2])
def test_classes_of_too_few_rows_are_dropped_and_counted(tmp_path, rows):
    lines = ["x,c,y", *[row.replace(",b,", ",a,") if i % 3 else row for i, row in enumerate(ROWS)]]
    path = write(tmp_path / "rows.csv", [*lines, *[f"{i},z,3" for i in range(rows)]])
    found = look_at(path, "c")
    assert decided(found)["rare classes"] == "drop"
    params = params_file.parse(found.text)
    prepared = prepare.prepare(
        prepare.RawData(read.read(params.data_ingestion).frame, {"source": "x"}), params.data_preprocessing
    )
    assert prepared.record.dropped.rare_classes == {"z": rows}
    assert set(prepared.train["c"]) == {"a", "b"}


@pytest.mark.parametrize("name", ["short", "long", "apart"])
def test_texts_of_a_script_without_blanks_are_told_apart(tmp_path, name):
    draw = random.Random(0)
    length = {"short": 10, "long": 80, "apart": 12}[name]
    good, bad, every = "好棒喜欢", "差坏脏吵", "房间服务早餐酒店前台位置的是了在"
    lines = [
        ("".join(draw.choices(every + 3 * (good if i % 2 else bad), k=length)), "pos" if i % 2 else "neg")
        for i in range(300)
    ]
    blank = " " if name == "apart" else ""
    path = write(tmp_path / "rows.csv", ["text,y", *[f"{blank.join(text)},{label}" for text, label in lines]])
    params = params_file.parse(look_at(path, "y").text)
    assert params.feature_engineering.text.characters
    assert params.model_evaluation.floors["accuracy"] > 0.65


def test_long_names_and_spellings_are_no_keys_of_a_mapping(tmp_path):
    """DVC folds a long key in dvc.lock, and cannot read it afterwards."""
    name = "How much were you paid a year ago, all in all? Only answer if you have stayed in the same country"
    spelled = ["I would rather not say what it was this time", "I would rather not say what it was this time "]
    lines = [f'"${i:,}.50","{spelled[i % 2] if i % 3 else "no"}",{i}' for i in range(1000, 1090)]
    found = look_at(write(tmp_path / "long.csv", [f'"{name}",answer,y', *lines]), "y")
    columns = params_file.parse(found.text).data_ingestion.reader.columns
    assert columns[name].kind == "number"
    keys = []

    def visit(node):
        if isinstance(node, dict):
            keys.extend(map(str, node))
        for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            visit(each)

    visit(yaml.safe_load(found.text))
    assert max(map(len, keys)) <= 40


def test_init_says_how_far_it_is(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 0)
    caplog.set_level("INFO", "init")
    look_at(write(tmp_path / "rows.csv", ["x,c,y", *ROWS]), "c")
    steps = [record.getMessage() for record in caplog.records if record.name == "init"]
    assert [line.rpartition("; ")[2] for line in steps[:3]] == list(inspect.STEPS)
    assert steps[3].startswith("3 of 3 steps of init")


def test_of_very_many_rows_some_are_drawn_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect, "MOST_ROWS", 40)
    path = write(tmp_path / "rows.csv", ["x,c,y", *ROWS])
    first, second = (look_at(path, "c") for _ in range(2))
    assert decided(first)["rows"] == "40 of 60"
    assert first.text == second.text
    assert first.rows == 60


@pytest.mark.parametrize("seed", range(10))
def test_numbers_of_json_are_read_as_those_of_csv(tmp_path, seed):
    """A column with texts beside numbers is what nearly all of its cells are; whole numbers may be moments."""
    draw = random.Random(seed)
    rows = [
        {
            "size": "see note" if draw.random() < 0.03 else draw.uniform(0, 99),
            "at": draw.randint(1_400_000_000, 1_600_000_000),
            "y": draw.choice("ab"),
        }
        for _ in range(200)
    ]
    rows[0]["size"] = "see note"
    path = write(tmp_path / "rows.jsonl", list(map(json.dumps, rows)))
    params = params_file.parse(look_at(path, "y").text)
    frame = read.read(params.data_ingestion).frame
    expected = [None if row["size"] == "see note" else row["size"] for row in rows]
    assert [None if value != value else value for value in frame["size"]] == expected
    assert params.data_preprocessing.columns.date == ("at",)
