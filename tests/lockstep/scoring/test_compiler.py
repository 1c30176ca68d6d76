"""Every compiled form answers as its pipeline, and none that does not may serve."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from lockstep import files
from lockstep.config.params import (
    Candidate,
    Categorical,
    DataPreprocessing,
    Date,
    FeatureEngineering,
    Numeric,
    Text,
)
from lockstep.data import cleaning, frames
from lockstep.data.schema import RowsRefused
from lockstep.errors import ArtifactError
from lockstep.features import build
from lockstep.features.transformers import DATE_PARTS, DateParts
from lockstep.inference import compiled_cache
from lockstep.inference.predictor import Predictor, digest
from lockstep.modeling import catalog, serialization
from lockstep.scoring import compiler, row_encoders
from lockstep.scoring.compiler import NotCompiled
from lockstep.scoring.scorers import PipelineScorer
from tests.lockstep.small_models import raw

FEATURES = {
    "default": FeatureEngineering(),
    "rare levels": FeatureEngineering(
        categorical=Categorical(min_frequency=60, unknown="ignore"), numeric=Numeric(scale="robust", impute="zero")
    ),
    "few levels": FeatureEngineering(
        categorical=Categorical(max_categories=2, unknown="ignore"),
        numeric=Numeric(scale="none", impute="mean"),
        date=Date(parts=["weekday", "hour"]),
    ),
    "counts": FeatureEngineering(text=Text(sublinear=False, ngrams=[1, 2, 3], min_documents=1, weighting="tfidf")),
    "pairs only": FeatureEngineering(text=Text(ngrams=[2], clean=["lowercase"])),
    "means and indicator": FeatureEngineering(
        categorical=Categorical(encode="target", unknown="ignore"), numeric=Numeric(indicator=True, transform="log")
    ),
    "many levels": FeatureEngineering(
        categorical=Categorical(most_levels=2), numeric=Numeric(indicator=True, transform="power", scale="robust")
    ),
    "ranks and circles": FeatureEngineering(numeric=Numeric(transform="quantile"), date=Date(parts=list(DATE_PARTS))),
    "filled": FeatureEngineering(missing="fill"),
    "characters": FeatureEngineering(text=Text(characters=[2, 4], ngrams=[1])),
    "sets": FeatureEngineering(text=Text(sets={"review": " "})),
    "stacked": FeatureEngineering(text=Text(characters=[2, 3], stack=True)),
}
NAIVE_BAYES = FeatureEngineering(text=Text(weighting="naive_bayes", characters=[3]))


def params_of(task, estimator):
    return FEATURES["default"] if catalog.find(estimator, task).negative else UNSCALED


def fitted(task, estimator, text=True, params=FEATURES["default"], **point):
    """Return schema, fitted pipeline and rows it was not fitted on."""
    table = raw(task, 400) if text else raw(task, 400).drop(columns="review")
    if not catalog.find(estimator, task).negative:
        table["size"] = table["size"] ** 2
    columns = {"text": ("review",)} if text else {}
    cleaned = cleaning.clean(table, DataPreprocessing(target="y", columns=columns))
    train, test = cleaned.frame[:300], cleaned.frame[300:]
    learned = frames.learn(train, "y", cleaned.task, cleaned.kinds, params)
    features, matrix = build.fit(train, learned, params, {})
    dense = matrix.toarray() if hasattr(matrix, "toarray") and not catalog.find(estimator, task).sparse else matrix
    few = {"n_estimators": 20} if estimator in ("xgboost", "lightgbm") else {}
    made = catalog.make(Candidate(estimator=estimator, params=few), point, cleaned.task, 0, False)
    model = made.fit(dense, frames.target_array(train, learned))
    return learned, Pipeline([("features", features), ("estimator", model)]), frames.rows_of(test, learned)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


LINEAR = ("ridge", "logistic_regression", "linear_svm", "multinomial_naive_bayes", "complement_naive_bayes")
PIPELINES = ("k_nearest_neighbors", "gaussian_naive_bayes", "rbf_svm", "polynomial_svm")
UNSCALED = FeatureEngineering(numeric=Numeric(scale="none", impute="zero"))
TABULAR = [(task, name) for name, entry in catalog.ESTIMATORS.items() for task in entry.tasks]


@pytest.mark.parametrize(("task", "estimator"), TABULAR)
def test_each_estimator_on_columns(task, estimator):
    schema, pipeline, rows = fitted(task, estimator, text=False, params=params_of(task, estimator))
    scorer, note = compiler.compile_or_fall_back(schema, pipeline, rows)
    if estimator in PIPELINES:
        assert (scorer.kind, note) == ("pipeline", f"{type(pipeline['estimator']).__name__} has no compiled form")
        return
    assert (scorer.kind, note) == ("linear" if estimator in LINEAR else "trees", "")
    probes = [*rows, *compiler.probes(schema, rows)]
    expected = PipelineScorer(schema, pipeline).score(probes)
    close(scorer.score(probes), expected)
    close([scorer.one(row) for row in probes], expected)


@pytest.mark.parametrize(("task", "estimator"), [pair for pair in TABULAR if pair[1] in LINEAR])
def test_each_linear_estimator_on_terms(task, estimator):
    schema, pipeline, rows = fitted(task, estimator, params=params_of(task, estimator))
    scorer, note = compiler.compile_or_fall_back(schema, pipeline, rows)
    assert (scorer.kind, note) == ("linear", "")
    probes = [*rows, *compiler.probes(schema, rows)]
    close(scorer.score(probes), PipelineScorer(schema, pipeline).score(probes))


@pytest.mark.parametrize("params", FEATURES.values(), ids=FEATURES)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_linear_models_on_columns_of_every_kind(task, params):
    schema, pipeline, rows = fitted(task, "ridge" if task == "regression" else "logistic_regression", params=params)
    scorer, note = compiler.compile_or_fall_back(schema, pipeline, rows)
    assert (scorer.kind, note) == ("linear", "")
    probes = [*rows, *compiler.probes(schema, rows)]
    close(scorer.score(probes), PipelineScorer(schema, pipeline).score(probes))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_null_in_a_column_that_had_none_is_refused_or_filled(task):
    estimator = "ridge" if task == "regression" else "logistic_regression"
    schema, _, rows = fitted(task, estimator)
    without = dict.fromkeys(("town", "review", "since"))
    nulls = [row | {name: None} for row in schema.objects(rows[:1]) for name in without]
    nulls += [row | without for row in schema.objects(rows[:1])]
    with pytest.raises(RowsRefused, match="null, but this column had no missing value") as refused:
        schema.check(nulls)
    assert len(refused.value.faults) == 6
    schema, pipeline, _ = fitted(task, estimator, params=FEATURES["filled"])
    checked = schema.check(nulls)
    scorer, _ = compiler.compile_or_fall_back(schema, pipeline, rows)
    close(scorer.score(checked), PipelineScorer(schema, pipeline).score(checked))
    assert np.isfinite(scorer.score(checked)).all()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_linear_models_on_terms_that_know_the_classes(task):
    schema, pipeline, rows = fitted(task, "logistic_regression", params=NAIVE_BAYES)
    scorer, note = compiler.compile_or_fall_back(schema, pipeline, rows)
    assert (scorer.kind, note) == ("linear", "")
    probes = [*rows, *compiler.probes(schema, rows)]
    close(scorer.score(probes), PipelineScorer(schema, pipeline).score(probes))


@pytest.mark.parametrize(
    "name", ["rare levels", "few levels", "means and indicator", "many levels", "ranks and circles"]
)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_trees_on_features_of_every_kind(task, name):
    schema, pipeline, rows = fitted(task, "random_forest", text=False, params=FEATURES[name])
    scorer, _ = compiler.compile_or_fall_back(schema, pipeline, rows)
    probes = [*rows, *compiler.probes(schema, rows)]
    assert scorer.kind == "trees"
    close(scorer.score(probes), PipelineScorer(schema, pipeline).score(probes))


@pytest.mark.parametrize("estimator", ["random_forest", "lightgbm", "xgboost"])
def test_trees_over_text_stay_a_pipeline(estimator):
    schema, pipeline, rows = fitted("binary", estimator)
    scorer, note = compiler.compile_or_fall_back(schema, pipeline, rows)
    assert (scorer.kind, note) == ("pipeline", "trees over text have no compiled form")


def test_a_form_that_answers_otherwise_does_not_serve(monkeypatch):
    schema, pipeline, rows = fitted("binary", "logistic_regression")
    good = compiler.compile_pipeline(schema, pipeline)
    wrong = dataclasses.replace(good, intercept=good.intercept + 1e-6)
    monkeypatch.setattr(compiler, "compile_pipeline", lambda *_: wrong)
    scorer, note = compiler.compile_or_fall_back(schema, pipeline, rows)
    assert scorer.kind == "pipeline"
    assert "the compiled form differs from the pipeline by up to" in note
    assert Predictor.from_pipeline(schema, pipeline, rows).note == note


def test_a_transformer_that_nobody_knows_is_left_to_the_pipeline():
    schema, pipeline, _ = fitted("regression", "ridge", text=False)
    pipeline["features"].transformers_[0] = ("own", *pipeline["features"].transformers_[0][1:])
    with pytest.raises(NotCompiled, match="the transformer 'own' has no compiled form"):
        compiler.compile_pipeline(schema, pipeline)


def test_an_overflow_is_refused_and_names_the_row():
    schema, pipeline, rows = fitted("regression", "ridge", text=False)
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    place = list(schema.kinds).index("size")
    huge = (*rows[0][:place], 1e308, *rows[0][place + 1 :])
    pipeline["estimator"].coef_ *= 10
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    with pytest.raises(RowsRefused, match=r"row 1, .*too extreme"):
        predictor.predict([rows[0], huge])


@pytest.fixture(scope="module", params=["linear", "trees", "pipeline"])
def written(request, tmp_path_factory):
    """A bundle, one for each kind of scorer."""
    estimator = {"linear": "logistic_regression", "trees": "random_forest", "pipeline": "k_nearest_neighbors"}
    params = FeatureEngineering(
        categorical=Categorical(encode="target"), numeric=Numeric(indicator=True, transform="power")
    )
    text = request.param == "linear"
    schema, pipeline, rows = fitted("binary", estimator[request.param], text, NAIVE_BAYES if text else params)
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    folder = tmp_path_factory.mktemp("bundle") / "a bundle"
    serialization.save(pipeline, folder / "model.skops")
    files.write_json(schema.to_json(), folder / "schema.json")
    files.write_json(predictor.smoke(frames.from_rows(rows[:20], schema)), folder / "smoke.json")
    return folder, predictor, rows


@pytest.fixture(scope="module")
def compiled_once(written, tmp_path_factory):
    """The same with its compiled form."""
    folder = tmp_path_factory.mktemp("compiled") / "a bundle"
    shutil.copytree(written[0], folder)
    compiled_cache.load(folder, digest(folder))
    return folder, *written[1:]


LONG = pytest.mark.long("opens a bundle of one more kind in another process")
ONE_KIND = pytest.mark.parametrize(
    "written", ["linear", *(pytest.param(kind, marks=LONG) for kind in ("trees", "pipeline"))], indirect=True
)
"""For what does not depend on the kind of scorer; each bundle is opened by a process, which takes seconds."""


def own_copy(bundle, to):
    shutil.copytree(bundle[0], to)
    return to, *bundle[1:]


@pytest.fixture
def stored(written, tmp_path):
    """A bundle of the test's own."""
    return own_copy(written, tmp_path / "a bundle")


@pytest.fixture
def opened(compiled_once, tmp_path):
    """A bundle of the test's own with its compiled form."""
    return own_copy(compiled_once, tmp_path / "a bundle")


def test_a_stored_form_answers_the_same(stored):
    folder, predictor, rows = stored
    first, again = (compiled_cache.load(folder, digest(folder)) for _ in range(2))
    assert (first.scorer.kind, first.note) == (predictor.scorer.kind, predictor.note)
    for loaded in (first, again):
        assert loaded.predict(rows) == predictor.predict(rows)
        assert [loaded.predict([row]) for row in rows[:9]] == [predictor.predict([row]) for row in rows[:9]]


@ONE_KIND
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_form_is_made_anew(opened, damage):
    folder, predictor, rows = opened
    path = folder / compiled_cache.file_name(digest(folder))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"other")
    assert compiled_cache.load(folder, digest(folder)).predict(rows) == predictor.predict(rows)


@ONE_KIND
@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        pytest.param("model.skops", lambda content: content[:-50], "is not a skops file", id="C12-truncated"),
        pytest.param("model.skops", lambda content: b"cos\nsystem\n", "is not a skops file", id="S11-pickle"),
        pytest.param("schema.json", lambda content: b"{}", "damaged", id="C13-schema"),
        pytest.param("smoke.json", lambda content: content.replace(b"yes", b"no "), "smoke rows", id="C13-smoke"),
    ],
)
def test_a_bad_bundle_is_refused_by_the_process_that_opens_it(stored, name, change, problem):
    folder, _, _ = stored
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ArtifactError, match=problem) as refused:
        compiled_cache.load(folder, digest(folder))
    assert refused.value.hint
    assert not list(folder.glob("compiled-*.npz"))


def test_a_digest_that_is_not_the_bundles_is_refused(stored):
    with pytest.raises(ArtifactError, match="has not the digest"):
        compiled_cache.load(stored[0], "0" * 64)


@ONE_KIND
def test_a_read_only_bundle_is_compiled_elsewhere(stored, tmp_path, monkeypatch):
    folder, predictor, rows = stored
    monkeypatch.setattr(compiled_cache, "_may_write", lambda folder: folder == tmp_path / "spare")
    loaded = compiled_cache.load(folder, digest(folder), tmp_path / "spare")
    assert loaded.predict(rows) == predictor.predict(rows)
    assert [path.suffix for path in folder.glob("compiled*")] == []


def test_a_server_process_needs_no_scikit_learn(opened):
    folder, predictor, _ = opened
    if predictor.note:
        pytest.skip("this one is the pipeline itself")
    code = (
        "import json, sys; from pathlib import Path; import flask_app.wsgi; "
        "from lockstep.inference import compiled_cache as compiled;"
        f"compiled.load(Path({str(folder)!r}), {digest(folder)!r});"
        "print(json.dumps(sorted({'pandas', 'sklearn', 'skops', 'mlflow'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_values_of_a_frame_and_of_json_are_one(stored):
    _, predictor, rows = stored
    frame = pd.DataFrame(predictor.schema.objects(rows))
    assert predictor.predict_frame(cleaning.canonical(frame, predictor.schema.kinds)) == predictor.predict(rows)


def test_dates_have_the_parts_that_training_knows():
    assert set(row_encoders.PARTS) == set(DATE_PARTS)


@pytest.mark.parametrize("spelled", ["2026-01", "2026-01-31", "2026-01-31T23:30:00-05:00"])
def test_a_date_of_a_table_is_read_as_in_training(spelled):
    parts = tuple(row_encoders.PARTS)
    plain = row_encoders.Scaling(*(np.full(len(parts), value) for value in (0.0, 0.0, 1.0)))
    expected = DateParts(parts).fit_transform(pd.DataFrame({"since": [spelled]}))
    assert row_encoders.CalendarEncoding((0,), parts, plain).dense([(spelled,)]).tolist() == expected.tolist()


def test_a_bundle_damaged_after_it_was_compiled_is_refused(opened):
    folder, _, _ = opened
    sha256 = digest(folder)
    compiled_cache.load(folder, sha256)
    path = folder / "schema.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="has not the digest"):
        compiled_cache.load(folder, sha256)
