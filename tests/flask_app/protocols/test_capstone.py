import pytest

from flask_app.models import model_service
from tests.flask_app.standins import example


def test_answer_names_the_version(client, app):
    answer = client.post("/inference", json={"data": [list(example(app).values())], "model_version": "1"}).get_json()
    (expected,) = model_service.default(app).require().predictor.answers([example(app)])
    assert len(answer.pop("ids")) == 1
    assert answer == {
        "predictions": [expected["prediction"]],
        "probabilities": [expected["probabilities"]],
        "model": "demo",
        "model_version": "1",
    }


def test_regression_and_text(serve, bundles):
    for task, values in (("regression", None), ("text", ["a good film"])):
        app = serve(bundles[task])
        answer = app.test_client().post("/inference", json={"data": [values or list(example(app).values())]}).get_json()
        assert ("probabilities" in answer) is (task == "text")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, '"data" must be a list'),
        ({"data": [1]}, "do not fit"),
        ({"data": [[1]]}, "do not fit"),
        ({"data": [[1]], "model_version": 1}, "must be a text"),
        ({"data": [[1]], "model_version": "99"}, "version"),
        ({"data": [[1]], "version": "1"}, "unknown key"),
        ([], "must be an object"),
    ],
)
def test_bodies_refused(client, body, says):
    response = client.post("/inference", json=body)
    assert response.status_code == 422
    assert says in response.get_json()["detail"]
