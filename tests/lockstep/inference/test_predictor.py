import json

import numpy as np
import pytest

from lockstep import files
from lockstep.data import frames
from lockstep.data.schema import RowsRefused
from lockstep.errors import ArtifactError
from lockstep.inference import predictor as module
from lockstep.inference.predictor import Predictor
from lockstep.modeling import serialization


def rows_of(made):
    return json.loads(json.dumps(made.predictor.schema.objects(frames.rows_of(made.test, made.predictor.schema))))


def test_a_row_gets_the_same_answer_alone_and_in_a_batch(made):
    rows = rows_of(made)
    batch = made.predictor.answers(rows)
    assert batch == [made.predictor.answers([row])[0] for row in rows]
    assert batch == made.predictor.answers(rows[:7]) + made.predictor.answers(rows[7:])
    assert batch[::-1] == made.predictor.answers(rows[::-1])


def test_rows_as_json_and_as_a_table_get_the_same_answers(made):
    table = made.test[list(made.predictor.schema.kinds)]
    assert made.predictor.as_answers(made.predictor.predict_frame(table)) == made.predictor.answers(rows_of(made))


def test_answers_are_printed_as_the_api_says(made):
    answers = made.predictor.answers(rows_of(made))
    assert json.loads(json.dumps(answers, allow_nan=False)) == answers
    labels = made.predictor.schema.labels
    for answer in answers:
        if not labels:
            assert set(answer) == {"prediction"}
            assert float(f"{answer['prediction']:.9g}") == answer["prediction"]
            continue
        assert list(answer["probabilities"]) == [str(label) for label in labels]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        chances = list(answer["probabilities"].values())
        assert answer["prediction"] == labels[chances.index(max(chances))]
        assert all(round(chance, 6) == chance for chance in chances)


@pytest.mark.parametrize(("label", "name"), [(True, "true"), (False, "false"), (3, "3"), ("a b", "a b")])
def test_label_names(label, name):
    assert module.label_name(label) == name


def test_rows_that_do_not_fit_are_refused(made):
    rows = rows_of(made)
    with pytest.raises(RowsRefused, match="row 1, column 'review': expected a text"):
        made.predictor.answers([rows[0], rows[1] | {"review": 5}])


def test_scores_stand_beside_the_truth(made):
    scored = made.predictor.score(made.test)
    labels = made.predictor.schema.labels
    truth = [labels[code] for code in scored.truth] if labels else scored.truth.tolist()
    assert truth == made.test["y"].tolist()
    predicted = [labels[code] for code in scored.predicted] if labels else scored.predicted.tolist()
    assert predicted == [answer["prediction"] for answer in made.predictor.answers(rows_of(made))]
    assert scored.classes == len(labels)


def test_a_bundle_loads_and_answers_the_same(made, model_bundle):
    loaded = Predictor.load(model_bundle, module.digest(model_bundle))
    assert loaded.answers(rows_of(made)) == made.predictor.answers(rows_of(made))
    assert Predictor.load(model_bundle).schema == made.predictor.schema


def test_the_digest_covers_every_file_of_a_bundle(model_bundle):
    lines = "".join(f"{files.sha256(model_bundle / n)}  {n}\n" for n in ("model.skops", "schema.json", "smoke.json"))
    before = module.digest(model_bundle)
    assert before == files.sha256_bytes(lines.encode())
    for name in ("model.skops", "schema.json", "smoke.json"):
        content = (model_bundle / name).read_bytes()
        (model_bundle / name).write_bytes(content + b" ")
        assert module.digest(model_bundle) != before
        with pytest.raises(ArtifactError, match=rf"has the digest \w{{12}}, not {before[:12]}"):
            Predictor.load(model_bundle, before)
        (model_bundle / name).write_bytes(content)


def test_the_digest_covers_the_profile_if_there_is_one(model_bundle):
    """A version made before profiles keeps its digest and serves; one that has lost its profile is not the same."""
    before = module.digest(model_bundle)
    (model_bundle / "profile.json").write_text("{}")
    with_profile = module.digest(model_bundle)

    assert with_profile != before
    assert Predictor.load(model_bundle, with_profile)
    (model_bundle / "profile.json").unlink()
    with pytest.raises(ArtifactError, match="has the digest"):
        Predictor.load(model_bundle, with_profile)


@pytest.mark.parametrize("name", ["model.skops", "schema.json", "smoke.json"])
def test_a_file_that_is_gone_is_named(model_bundle, name):
    (model_bundle / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} not found") as refused:
        Predictor.load(model_bundle)
    assert "dvc repro" in refused.value.hint


@pytest.mark.parametrize("name", ["schema.json", "smoke.json"])
def test_a_file_that_is_cut_off_is_named(model_bundle, name):
    (model_bundle / name).write_bytes((model_bundle / name).read_bytes()[:50])
    with pytest.raises(ArtifactError, match=rf"{name} is not JSON"):
        Predictor.load(model_bundle)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            lambda s: s["answers"][0].update(prediction="other"), "answers its smoke rows otherwise", id="C13-answer"
        ),
        pytest.param(lambda s: s["answers"].pop(), "answers its smoke rows otherwise", id="C13-fewer"),
        pytest.param(
            lambda s: s["rows"][0].pop("review"), "fails on its smoke rows: .*missing column", id="C13-column"
        ),
        pytest.param(lambda s: s.pop("rows"), "fails on its smoke rows: 'rows'", id="C13-no-rows"),
    ],
)
def test_a_bundle_that_fails_its_smoke_rows_is_refused(model_bundle, change, problem):
    smoke = files.read_json(model_bundle / "smoke.json")
    change(smoke)
    files.write_json(smoke, model_bundle / "smoke.json")
    with pytest.raises(ArtifactError, match=problem) as refused:
        Predictor.load(model_bundle)
    assert refused.value.hint


@pytest.mark.parametrize("made", ["binary", "multiclass", "regression"], indirect=True, ids="B41-{}".format)
def test_a_schema_of_other_labels_is_refused(made, model_bundle):
    content = files.read_json(model_bundle / "schema.json")
    files.write_json(content | {"labels": [*content["labels"], "zzz"]}, model_bundle / "schema.json")
    with pytest.raises(ArtifactError, match=r"the model knows .* but its schema .*'zzz'"):
        Predictor.load(model_bundle)


@pytest.mark.parametrize("change", ["kind", "name"], ids=["B41-other-kind", "B41-other-name"])
def test_a_schema_of_other_columns_is_refused(made, model_bundle, change):
    content = files.read_json(model_bundle / "schema.json")
    column = next(column for column in content["columns"] if column["name"] == "size")
    column.update({"kind": "text"} if change == "kind" else {"name": "other"})
    files.write_json(content, model_bundle / "schema.json")
    with pytest.raises(ArtifactError, match="fails on its smoke rows"):
        Predictor.load(model_bundle)


def test_a_model_of_another_training_is_refused(made, model_bundle):
    pipeline = made.pipeline
    other = pipeline["features"].transform(made.test), np.roll(made.test["y"].to_numpy(), 1)
    estimator = type(pipeline["estimator"])().fit(
        other[0],
        other[1] if not made.predictor.schema.labels else other[1].astype(type(made.predictor.schema.labels[0])),
    )
    serialization.save(
        type(pipeline)([("features", pipeline["features"]), ("estimator", estimator)]), model_bundle / "model.skops"
    )
    with pytest.raises(ArtifactError, match="answers its smoke rows otherwise"):
        Predictor.load(model_bundle)
