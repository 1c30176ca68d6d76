import json
import re

import pytest
from jsonschema import Draft202012Validator

from flask_app import create_app
from flask_app.models import model_service
from flask_app.openapi.document import HIDDEN
from flask_app.openapi.json_schema import DATE
from flask_app.openapi.served_model import specification
from lockstep.config.settings import Settings
from tests.flask_app.standins import ODD, FolderRegistry, example


def described(client, **headers):
    return client.get("/openapi.json", headers=headers).get_json()


def validator(document, schema):
    """Return what checks against a schema of the document."""
    return Draft202012Validator(schema | {"components": document["components"]})


def schema_of(document, path, part, method="post"):
    operation = document["paths"][path][method]
    content = operation["requestBody"] if part == "request" else operation["responses"][part]
    return content["content"]["application/json"]["schema"]


def example_of(document, schema):
    name = schema["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"][0]


def predicting(document):
    """Return the paths that take JSON and answer predictions."""
    return [
        path
        for path, operations in document["paths"].items()
        if "$ref" in str(operations.get("post", {}).get("requestBody", "")) and "{" not in path
    ]


def test_every_route_is_described(app, client):
    paths = described(client)["paths"]
    for rule in app.url_map.iter_rules():
        if rule.endpoint in HIDDEN:
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.replace("<name>", "demo"))
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            operation = paths[path][method.lower()]
            assert operation["summary"], path
            assert {"default"} < operation["responses"].keys(), path


def test_the_specification_names_routes_and_facts_that_there_are(app, client):
    assert specification()["operations"].keys() <= {rule.endpoint for rule in app.url_map.iter_rules()}
    assert re.findall(r'"\$(?!ref")[^"]*"', json.dumps(described(client))) == []


def test_nothing_is_said_twice_or_missing(client):
    document = described(client)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found = document
        for part in reference.split("/"):
            found = found[part]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_examples_fit_and_are_answered_as_described(serve, bundle):
    client = serve(bundle).test_client()
    document = described(client)
    assert len(predicting(document)) == 6
    for path in predicting(document):
        schema = schema_of(document, path, "request")
        body = example_of(document, schema)
        validator(document, schema).validate(body)
        response = client.post(path, json=body)
        assert response.status_code == 200, (path, response.text)
        validator(document, schema_of(document, path, "200")).validate(response.get_json())


def test_every_items_is_a_schema_as_generators_of_clients_need_it(serve, bundle):
    """openapi-python-client refuses `items: false`."""
    texts = json.dumps(described(serve(bundle).test_client()))
    assert '"items": {' in texts
    assert not re.search(r'"items": (?!\{)', texts)


GOOD = {
    "a whole number": {"size": 50},
    "as large as may be": {"size": 1e30},
    "missing": {ODD: None},
    "another day": {"day": "2026-12-31"},
    "a moment": {"day": "2026-12-31T23:59:59.123+02:00"},
}
BAD = {
    "a number in quotes": {"size": "1"},
    "true": {"size": True},
    "null": {"size": None},
    "too large": {"size": 1.1e30},
    "an unknown category": {"place": "Atlantis"},
    "a month that is not": {"day": "2026-13-01"},
    "a day that is not": {"day": "2026-04-31"},
    "the year 0": {"day": "0000-01-01"},
    "an hour that is not": {"day": "2026-01-01T24:00"},
    "an unknown column": {"colour": 1},
}


@pytest.mark.parametrize(("case", "status"), [*((case, 200) for case in GOOD), *((case, 422) for case in BAD)])
def test_the_description_takes_what_the_app_takes(client, app, case, status):
    document = described(client)
    row = example(app) | (GOOD | BAD)[case]
    bodies = {"/predict": {"rows": [row]}, "/invocations": {"dataframe_records": [row]}}
    if "colour" not in row:
        bodies |= {"/inference": {"data": [list(row.values())]}, "/invocations": {"instances": [list(row.values())]}}
    for path, body in bodies.items():
        fits = validator(document, schema_of(document, path, "request")).is_valid(body)
        assert (fits, client.post(path, json=body).status_code) == (status == 200, status), path


def test_refusals_are_as_described(client):
    document = described(client)
    problem = validator(document, document["components"]["schemas"]["Problem"])
    for path in predicting(document):
        response = client.post(path, json={"rows": 1})
        assert f"{response.status_code}" in document["paths"][path]["post"]["responses"]
        problem.validate(response.get_json())


@pytest.mark.parametrize("date", ["2026-02-29", "2026-1-1", "20260131", "2026-01-31 12:00", "2026-01-31T12:00:00.1"])
def test_dates_beyond_the_description(date):
    assert not re.search(DATE, date)


def test_it_is_cached_by_its_etag_and_follows_production(serve, bundles, registry):
    app = serve(bundles["binary"])
    client = app.test_client()
    first = client.get("/openapi.json")
    assert (first.headers["Cache-Control"], first.mimetype) == ("no-cache", "application/json")
    assert client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    registry.add("2", bundles["text"])
    model_service.default(app).look()
    second = client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert second.get_json()["info"]["version"] == "2"
    assert list(second.get_json()["components"]["schemas"]["Row"]["properties"]) == ["review"]


def test_several_models_have_addresses_of_their_own(tmp_path, bundles):
    registries = {"demo": FolderRegistry("demo"), "texts": FolderRegistry("texts")}
    registries["demo"].add("1", bundles["binary"])
    registries["texts"].add("3", bundles["text"])
    settings = Settings.read({"LOCKSTEP_MODEL_NAME": "demo,texts", "LOCKSTEP_STATE": str(tmp_path)})
    waiting = list(registries.values())
    app = create_app(settings, lambda: waiting.pop(0))
    for service in model_service.all_of(app):
        service.look()
    document = described(app.test_client())
    assert schema_of(document, "/models/demo/predict", "request")["$ref"].endswith("/PredictRequest")
    assert schema_of(document, "/models/texts/predict", "request")["$ref"].endswith("/PredictRequest-texts")
    assert list(document["components"]["schemas"]["Row-texts"]["properties"]) == ["review"]


def test_keys_are_described_where_they_are_set(tmp_path, registry, bundles):
    registry.add("1", bundles["text"])
    base = {"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(tmp_path)}
    key = "a-key-of-the-test-0123"
    for more, schemes in (({}, set()), ({"LOCKSTEP_API_KEYS": key}, {"bearer", "key"})):
        app = create_app(Settings.read(base | more), registry.connect)
        model_service.default(app).look()
        document = described(app.test_client(), **{"X-API-Key": key})
        assert set(document["components"]["securitySchemes"]) == schemes
        assert ("security" in document["paths"]["/predict"]["post"]) is bool(schemes)
        assert "security" not in document["paths"]["/livez"]["get"]


def test_no_model(empty):
    for path in ("/openapi.json", "/docs"):
        assert empty.test_client().get(path).status_code == 503
