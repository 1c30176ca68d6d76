import json

import pytest

from lockstep.errors import ArtifactError
from lockstep.metrics.evaluation_record import Evaluation
from tests.lockstep.pages.evaluation.conftest import facts_of
from tests.lockstep.small_models import make


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def record(request):
    return facts_of(make(request.param))


def test_a_record_reads_back_as_written(record):
    content = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert Evaluation.from_json(content) == record
    assert json.loads(json.dumps(Evaluation.from_json(content).to_json())) == content


def test_the_keys_are_those_of_the_documented_format(record):
    content = record.to_json()
    assert content["format"] == 1
    sizes = {"probability", "probability_of_truth"} if record.labels else {"error"}
    assert all(set(row) == {"row", "truth", "prediction", "values"} | sizes for row in content["worst"])
    if record.residuals:
        assert {"from", "to"} < set(content["residuals"]["by_predicted"][0])
    if record.words:
        assert {"for", "against"} < set(content["words"][0])


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"format": 2}, "format 2"),
        ({"metrics": 3}, "metrics"),
        ({"rows": None}, "rows"),
        ({"format": None}, "format None"),
    ],
)
def test_another_format_is_refused_with_its_cause(record, change, cause):
    with pytest.raises(ArtifactError, match=cause):
        Evaluation.from_json(record.to_json() | change)


def test_a_key_of_a_later_version_is_passed_over(record):
    assert Evaluation.from_json(record.to_json() | {"later": 1}) == record


@pytest.mark.parametrize("content", [[], "x", None, {}])
def test_what_is_no_record_is_refused(content):
    with pytest.raises(ArtifactError):
        Evaluation.from_json(content)
