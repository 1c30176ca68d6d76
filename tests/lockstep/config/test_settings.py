import dataclasses

import pytest
import yaml

from lockstep.config import params_file
from lockstep.config.params import Columns, Params
from lockstep.config.settings import SETTINGS, Settings
from lockstep.errors import ConfigError
from tests.root import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

GOOD = """\
data_ingestion:
  source: data/external/rows.csv
data_preprocessing:
  target: churned
feature_engineering: {}
model_building:
  candidates:
    - {estimator: ridge, params: {alpha: 1.0}, grid: {fit_intercept: [true, false]}}
model_evaluation:
  floors: {r2: 0.5}
register_model:
  model_name: churn
"""


def with_change(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def test_good_params_have_defaults_and_are_frozen():
    params = params_file.parse(GOOD)
    assert params.data_ingestion.source == "data/external/rows.csv"
    assert params.data_ingestion.reader.missing == ("", "NA", "N/A", "NaN", "nan", "null")
    assert params.data_preprocessing.split.test_size == 0.2
    assert params.model_building.candidates[0].grid == {"fit_intercept": (True, False)}
    assert (params.model_building.metric, params.model_building.folds) == ("auto", 5)
    with pytest.raises(ValueError, match="frozen"):
        params.model_building.folds = 3


FAULTS = {
    "B52a-syntax": (with_change("target: churned", "target: [churned"), "line 5", "mend the line"),
    "B52a-two-documents": (f"{GOOD}---\nmore: 1\n", "line 13", "mend the line"),
    "B52a-control-character": (f"{GOOD}\x00", "not valid YAML", "mend the line"),
    "B52a-object": (with_change("churned", "!!python/object:os.system x"), "line 4", "mend the line"),
    "B52a-list-as-key": (f"{GOOD}? [a, b]\n: c\n", "unhashable", "mend the line"),
    "B52a-no-such-date": (with_change("churned", "2026-13-45"), "month must be in 1..12", "mend the line"),
    "B52a-too-deep": ("[" * 5000, "maximum recursion depth", "mend the line"),
    "B52a-not-a-mapping": ("- a\n- b\n", "not a mapping", "data_ingestion, data_preprocessing"),
    "B52a-empty": ("", "is empty", "register_model"),
    "B52b-unknown-section": (
        f"{GOOD}model_buildin: {{}}\n",
        "'model_buildin'; did you mean 'model_building'?",
        "accepted here",
    ),
    "B52b-unknown-key": (
        with_change("  target: churned", "  target: churned\n  drop_duplicate: true"),
        "unknown key 'data_preprocessing.drop_duplicate'; did you mean 'drop_duplicates'?",
        "accepted here: target, task, columns, dates, contract, positive, rare_classes, least_in_class, order, "
        "drop_duplicates, split",
    ),
    "B52b-unknown-deep-key": (
        with_change("feature_engineering: {}", "feature_engineering: {text: {ngram: [1]}}"),
        "unknown key 'feature_engineering.text.ngram'; did you mean 'ngrams'?",
        "min_documents",
    ),
    "B52b-unknown-key-in-a-list": (
        with_change("estimator: ridge", "estimatr: x, estimator: ridge"),
        "unknown key 'model_building.candidates.0.estimatr'; did you mean 'estimator'?",
        "accepted here: estimator, params, grid",
    ),
    "B52b-missing-section": (
        with_change("feature_engineering: {}\n", ""),
        "'feature_engineering' is missing",
        "examples/",
    ),
    "B52b-missing-key": (
        with_change("  target: churned", "  task: binary"),
        "'data_preprocessing.target' is missing",
        "add it",
    ),
    "B52c-number-for-text": (
        with_change("target: churned", "target: 7"),
        "data_preprocessing.target = 7",
        "mend this value",
    ),
    "B52c-text-for-mapping": (
        with_change("floors: {r2: 0.5}", "floors: high"),
        "model_evaluation.floors = 'high'",
        "mend",
    ),
    "B52c-mapping-for-list": (
        with_change("  candidates:\n    - {", "  candidates:\n    {"),
        "model_building.candidates = ",
        "mend this value",
    ),
    "B52c-scalar-for-a-grid": (
        with_change("[true, false]", "true"),
        "model_building.candidates.0.grid.fit_intercept",
        "quotes",
    ),
    "B52c-one-of": (
        with_change("  target: churned", "  target: churned\n  task: classify"),
        "task = 'classify': input should be 'auto', 'binary', 'multiclass' or 'regression'",
        "mend this value",
    ),
    "B52c-name-with-a-slash": (
        with_change("model_name: churn", "model_name: ../churn"),
        "register_model.model_name",
        "mend",
    ),
    "B52d-folds": (
        with_change("model_building:", "model_building:\n  folds: 1"),
        "folds = 1: input should be greater",
        "mend",
    ),
    "B52d-no-candidates": (
        with_change("  candidates:\n    - {", "  candidates: []\n  metric: auto\n#"),
        "at least 1 item",
        "mend",
    ),
    "B52e-test-size": (
        with_change("  target: churned", "  target: churned\n  split: {test_size: 1.5}"),
        "data_preprocessing.split.test_size = 1.5: input should be less than 1",
        "mend this value",
    ),
    "B52f-duplicate-key": (
        with_change("  target: churned", "  target: a\n  target: b"),
        "line 5: the key 'target' stands twice",
        "mend",
    ),
    "B52f-duplicate-section": (
        f"{GOOD}model_evaluation: {{}}\n",
        "line 13: the key 'model_evaluation' stands twice",
        "mend",
    ),
    "B52g-tab": (with_change("  target: churned", "\ttarget: churned"), "line 4", "spaces, not tabs"),
    "B52h-anchor-bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        "line 2: aliases are not accepted",
        "mend the line",
    ),
    "B52h-merge-key": (
        f"base: &base {{folds: 3}}\nmodel_building: {{<<: *base}}\n{GOOD}",
        "aliases are not accepted",
        "mend",
    ),
    "B52i-yes-for-text": (
        with_change("target: churned", "target: yes"),
        "data_preprocessing.target = True",
        "quotes around a word",
    ),
    "B52i-text-for-a-float": (with_change("r2: 0.5", "r2: 'x'"), "model_evaluation.floors.r2 = 'x'", "without quotes"),
    "B52i-1e3-for-an-int": (
        with_change("  floors", "  resamples: 1e3\n  floors"),
        "resamples = 1000.0",
        "without a point or an exponent",
    ),
    "B52i-yes-for-a-number": (
        with_change("  floors", "  resamples: yes\n  floors"),
        "resamples = True",
        "quotes around a word",
    ),
}


@pytest.mark.parametrize(("text", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_params_faults(text, problem, hint):
    with pytest.raises(ConfigError) as refused:
        params_file.parse(text)
    assert problem in refused.value.problem
    assert refused.value.problem.startswith("params.yaml")
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("content", "problem", "hint"),
    [
        pytest.param(None, "params.yaml not found", "lockstep use breast-cancer", id="B52j-missing"),
        pytest.param(b"a: \xe9", "cannot be read", "UTF-8", id="B52j-latin-1"),
        pytest.param("folder", "cannot be read", "readable by you", id="B52j-folder"),
    ],
)
def test_params_file_faults(tmp_path, content, problem, hint):
    path = tmp_path / "params.yaml"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as refused:
        params_file.load(path)
    assert hint in refused.value.hint


def test_a_file_is_named_by_its_path(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert params_file.load(path) == params_file.parse(GOOD)
    path.write_text(f"{GOOD}typo: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=str(path)):
        params_file.load(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_parse(path):
    assert params_file.load(path).register_model.model_name == path.stem


def test_examples_use_every_section_in_the_order_of_the_pipeline():
    stages = list(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    assert list(Params.model_fields) == stages
    for path in EXAMPLES:
        assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == stages


def test_roles_are_mapped_by_column():
    columns = Columns(numeric=("age",), text=("review", "title"), ignore=("row",))
    assert columns.roles() == {"age": "numeric", "review": "text", "title": "text", "row": "ignore"}


def test_a_column_with_two_roles_is_refused():
    with pytest.raises(ConfigError, match="'age' stands under 'numeric' and under 'id'"):
        Columns(numeric=("age",), id=("age",)).roles()


def test_every_setting_has_a_meaning_and_variables_of_its_own():
    assert {row.name for row in SETTINGS if row.whole} >= {"port", "workers", "max_rows"}
    variables = [variable for row in SETTINGS for variable in row.variables]
    assert len(variables) == len(set(variables))
    assert all(row.meaning for row in SETTINGS)


def test_secrets_do_not_stand_in_the_text_of_settings():
    secrets = {row.variables[0]: f"secret of {row.name}" for row in SETTINGS if row.secret}
    assert len(secrets) > 8
    assert "secret of" not in repr(Settings.read(secrets))


def test_an_empty_environment_gives_the_defaults():
    settings = Settings.read({})
    assert {row.name: str(getattr(settings, row.name)) for row in SETTINGS} == {
        row.name: row.default for row in SETTINGS
    }


@pytest.mark.parametrize(
    ("row", "variable"),
    [pytest.param(row, variable, id=variable) for row in SETTINGS for variable in row.variables],
)
def test_a_variable_sets_its_field_alone(row, variable):
    changed = Settings.read({variable: "77"})
    assert getattr(changed, row.name) == (77 if row.whole else "77")
    assert dataclasses.replace(changed, **{row.name: getattr(Settings.read({}), row.name)}) == Settings.read({})


def test_the_first_variable_wins_and_an_empty_one_counts_as_unset():
    assert Settings.read({"DAGSHUB_USER_TOKEN": "new", "CAPSTONE_TEST": "old"}).dagshub_token == "new"
    assert Settings.read({"DAGSHUB_USER_TOKEN": "", "CAPSTONE_TEST": "old"}).dagshub_token == "old"
    assert Settings.read({"PORT": ""}).port == 5000


@pytest.mark.parametrize(
    ("row", "variable"),
    [pytest.param(row, variable, id=variable) for row in SETTINGS for variable in row.variables],
)
def test_only_secrets_are_read_from_files(tmp_path, row, variable):
    path = tmp_path / "secret"
    path.write_text("7 7\n", encoding="utf-8")
    settings = Settings.read({f"{variable}_FILE": str(path)})
    assert str(getattr(settings, row.name)) == ("7 7" if row.secret else row.default)


def test_a_secret_file_that_is_not_there_is_named_and_no_secret_shown(tmp_path):
    with pytest.raises(
        ConfigError, match=r"MLFLOW_TRACKING_PASSWORD_FILE: .*absent cannot be read: No such file"
    ) as refused:
        Settings.read({"MLFLOW_TRACKING_PASSWORD_FILE": str(tmp_path / "absent"), "MLFLOW_TRACKING_PASSWORD": "s3cret"})
    assert "s3cret" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize("text", ["many", "-1", "2.5", "1e3", " 5"])
def test_a_number_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match=rf"PORT = '{text}' is not a whole number"):
        Settings.read({"PORT": text})
