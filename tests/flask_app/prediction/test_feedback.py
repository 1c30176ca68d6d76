import contextlib
import io
import re
import sqlite3

import pytest

from flask_app import create_app
from flask_app.models import model_service
from flask_app.prediction import log
from lockstep.config.settings import Settings
from lockstep.errors import StoreError
from lockstep.prediction_log.database import Store
from tests.flask_app.standins import FolderRegistry, example
from tests.lockstep import logged_answers

PAGE = {"Accept": "text/html"}


def predicted(client, rows=1):
    """Return the ids of fresh predictions, and the first answer."""
    answer = client.post("/predict", json={"rows": [example(client.application)] * rows}).get_json()
    return [one["id"] for one in answer["predictions"]], answer["predictions"][0]["prediction"]


def labels(app, own):
    """Return all labels of a prediction as they are stored, the latest first."""
    written = log.from_app(app)
    written.ask("known", ids=[own])  # what was sent is in the database then
    with contextlib.closing(Store.from_settings(written.settings)) as store:
        return logged_answers.labels(store, own)


def sent(client, own, label, **headers):
    return client.post("/feedback", json={"id": own, "label": label}, headers=headers)


def uploaded(client, *lines, **more):
    content = "".join(f"{line}\n" for line in lines).encode()
    return client.post("/feedback/file", data={"file": (io.BytesIO(content), "labels.csv")}, **more)


def token(client, path="/feedback"):
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get(path, headers=PAGE).text)[1]


def test_a_later_label_wins_and_all_are_kept(app, client):
    (own,), _ = predicted(client)
    told = [sent(client, own, label).get_json()["status"] for label in ("<low>", "<low>", "middle", "<low>")]
    assert told == ["new", "unchanged", "changed", "changed"]
    assert labels(app, own) == ["<low>", "middle", "<low>"]
    (shown,) = log.from_app(app).ask("predictions")
    assert (shown["id"], shown["label"]) == (own, "<low>")


def worth(client, prediction, label, value):
    return client.post("/feedback", json={"id": prediction, "label": label, "value": value})


def figures(client):
    text = client.get("/metrics").text
    return dict(re.findall(r"^(model_feedback\S*?_total{.*?}) ([\d.]+)$", text, re.MULTILINE))


def test_a_value_is_kept_with_its_label_and_counted_once(app, client):
    (own, other), _ = predicted(client, 2)
    answers = [worth(client, *said).get_json() for said in ((own, "middle", 120.5), (own, "middle", 120.5))]
    assert [(answer["status"], answer["value"]) for answer in answers] == [("new", 120.5), ("unchanged", 120.5)]
    assert sent(client, own, "middle").get_json()["status"] == "unchanged"
    assert worth(client, own, "middle", 100).get_json()["status"] == "changed"
    assert sent(client, own, "<low>").get_json()["status"] == "changed"  # what it was worth stands
    assert worth(client, other, "<low>", -7).get_json()["status"] == "new"
    stored = {row["id"]: (row["label"], row["label_value"]) for row in log.from_app(app).ask("predictions")}
    assert stored == {own: ("<low>", 100.0), other: ("<low>", -7.0)}
    assert figures(client) == {
        'model_feedback_total{label="<low>",model="demo"}': "1.0",
        'model_feedback_total{label="middle",model="demo"}': "1.0",
        'model_feedback_value_total{label="middle",model="demo",sign="gain"}': "120.5",
        'model_feedback_value_total{label="middle",model="demo",sign="loss"}': "20.5",
        'model_feedback_value_total{label="<low>",model="demo",sign="loss"}': "7.0",
    }
    page = client.get("/dashboard", headers=PAGE).text
    assert re.findall(
        r'<th scope="row">(\S+)</th><td class="number">(\S+)</td><td class="number">(\S+)</td>', page
    ) == [
        ("&lt;low&gt;", "1", "-7.00"),
        ("middle", "1", "100.00"),
    ]


@pytest.mark.parametrize("value", ["12", True, [1], {}])
def test_a_value_that_is_no_number_is_refused(client, value):
    (own,), _ = predicted(client)
    assert worth(client, own, "middle", value).status_code == 422
    assert figures(client) == {}


def test_feedback_counts_have_no_more_labels_than_the_model(serve, bundles, monkeypatch):
    client = serve(bundles["regression"]).test_client()
    for own in predicted(client, 3)[0]:
        worth(client, own, float(len(own)), 2)
    assert figures(client) == {
        'model_feedback_total{label="value",model="demo"}': "3.0",
        'model_feedback_value_total{label="value",model="demo",sign="gain"}': "6.0",
    }


def test_an_idempotency_key_makes_it_one_saying(app, client, monkeypatch):
    (own,), _ = predicted(client)
    monkeypatch.setattr(log.PredictionLog, "ask", out_of_reach)
    told = [sent(client, own, "middle", **{"Idempotency-Key": "k"}) for _ in range(3)]
    assert [one.status_code for one in told] == [202] * 3
    monkeypatch.undo()
    assert labels(app, own) == ["middle"]


def out_of_reach(*_, **__):
    raise StoreError("the database is away", "wait")


def test_feedback_waits_for_the_database(app, client, monkeypatch):
    (own,), _ = predicted(client)
    monkeypatch.setattr(log.PredictionLog, "ask", out_of_reach)
    answer = sent(client, own, "middle")
    assert (answer.status_code, answer.get_json()["status"]) == (202, "waiting")
    assert sent(client, own, "nonsense").status_code == 422
    monkeypatch.undo()
    assert labels(app, own) == ["middle"]


REFUSED = {
    "binary": ["top", 1, True, 1.5, "MIDDLE"],
    "multiclass": ["middle ", 0],
    "regression": ["12", True, 10**400],
    "text": ["neutral"],
}


def test_a_label_that_no_answer_could_be_is_refused(serve, bundle):
    client = serve(bundle).test_client()
    (own,), answer = predicted(client)
    for label in REFUSED[bundle.name]:
        refused = sent(client, own, label)
        assert refused.status_code == 422, label
        assert "accepted" in refused.get_json()["errors"][0]["problem"]
    good = 12 if isinstance(answer, float) else answer
    assert sent(client, own, good).get_json() == {"id": own, "label": good, "status": "new"}


BODIES = [
    (b"", "application/json", 400),
    (b"{", "application/json", 400),
    (b'{"id": "a"}', "application/json", 422),
    (b'{"id": "a", "label": null}', "application/json", 422),
    (b'{"id": "a", "label": "b", "more": 1}', "application/json", 422),
    (b'{"id": "a", "label": NaN}', "application/json", 400),
    (b'{"id": 7, "label": "middle"}', "application/json", 422),
    (b'{"id": "a", "label": "middle"}', "application/json", 404),
    (b'{"id": "%s", "label": "middle"}' % (b"a" * 65), "application/json", 422),
    (b"id=a&label=middle", "application/x-www-form-urlencoded", 404),
    (b"id=a", "application/x-www-form-urlencoded", 422),
    (b"id=a&label=b&label=c", "application/x-www-form-urlencoded", 422),
    (b"a,b", "text/csv", 415),
]


@pytest.mark.parametrize(("body", "kind", "status"), BODIES)
def test_other_requests_are_told_what_is_wrong(client, body, kind, status):
    answer = client.post("/feedback", data=body, content_type=kind)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_a_form_says_right_or_what_it_was(app, client):
    page = client.post("/predict", data=typed(app) | {"csrf_token": token(client, "/")}, headers=PAGE).text
    own = re.search(r'name="id" value="(\w+)"', page)[1]
    answered = re.search(r'<output class="label">([^<]+)</output>', page)[1]
    others = re.findall(r"<option>([^<]+)</option>", page[page.index('id="truth"') :])
    assert (answered, others) == ("middle", ["&lt;low&gt;"]) or (answered, others) == ("&lt;low&gt;", ["middle"])
    thanks = client.post("/feedback", data={"id": own, "label": "<low>", "csrf_token": token(client)}, headers=PAGE)
    assert thanks.status_code == 200
    assert "The true answer is written down: <b>&lt;low&gt;</b>" in thanks.text
    assert labels(app, own) == ["<low>"]


def typed(app):
    return {name: "" if value is None else str(value) for name, value in example(app).items()}


def test_s03_a_browser_needs_the_token(app, client):
    (own,), _ = predicted(client)
    for path, content in (("/feedback", {"id": own, "label": "middle"}), ("/feedback/file", {"id": own})):
        assert client.post(path, data=content, headers=PAGE).status_code == 403
    assert labels(app, own) == []


def test_keys_and_rates_hold_for_feedback(bundles, tmp_path):
    registry = FolderRegistry()
    registry.add("1", bundles["binary"])
    key = "a-key-of-enough-length"
    environment = {"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(tmp_path), "LOCKSTEP_API_KEYS": key}
    app = create_app(Settings.read(environment | {"LOCKSTEP_RATE_LIMIT": "3/m"}), registry.connect)
    client = app.test_client()
    for path in ("/feedback", "/feedback/file"):
        assert client.post(path).status_code == 401
    statuses = [sent(client, "a", "b", **{"X-API-Key": key}).status_code for _ in range(4)]
    assert statuses[-1] == 429


def test_a_file_brings_many_labels(app, client):
    ids, _ = predicted(client, rows=4)
    sent(client, ids[0], "middle")
    sent(client, ids[1], "middle")
    lines = [f"{ids[0]},middle", f"{ids[1]},<low>", f" {ids[2]} , middle ", "", f'{ids[3]},"<low>"']
    answer = uploaded(client, "\ufeffid,label", *lines)
    assert (answer.status_code, answer.get_json()) == (200, {"new": 2, "changed": 1, "unchanged": 1})
    assert [labels(app, own)[0] for own in ids] == ["middle", "<low>", "middle", "<low>"]
    again = uploaded(client, "id,label", *lines).get_json()
    assert again == {"new": 0, "changed": 0, "unchanged": 4}


def test_of_a_file_with_a_wrong_line_nothing_is_taken(app, client):
    ids, _ = predicted(client, rows=2)
    answer = uploaded(client, "id,label", f"{ids[0]},middle", "nobody,middle", f"{ids[1]},medium")
    assert answer.status_code == 422
    found = [(one["row"], one["column"]) for one in answer.get_json()["errors"]]
    assert found == [(3, "id"), (4, "label")]
    assert [labels(app, own) for own in ids] == [[], []]


FILES = [
    (("label,id", "a,b"), 400),
    (("id;label", "a;b"), 400),
    ((), 422),
    (("id,label",), 200),
    (("id,label", "a"), 422),
    (("id,label", "a,b", "a,c"), 422),
    (("id,label", '"a'), 400),
    (("id,value,label", "a,1,b"), 400),
    (("id,label,value", "a,b"), 422),
    (("id,label", *["a,b"] * 10_001), 413),
]


@pytest.mark.parametrize(("lines", "status"), FILES)
def test_files_are_refused_unless_they_are_ours(client, lines, status):
    assert uploaded(client, *lines).status_code == status


def test_a_file_of_numbers(serve, bundles):
    client = serve(bundles["regression"]).test_client()
    ids, _ = predicted(client, rows=2)
    assert uploaded(client, "id,label", f"{ids[0]},12", f"{ids[1]},nan").status_code == 422
    assert uploaded(client, "id,label", f"{ids[0]},12", f"{ids[1]},-1e3").get_json()["new"] == 2
    assert labels(client.application, ids[1]) == [-1000.0]


def values(app):
    return {row["id"]: row["label_value"] for row in log.from_app(app).ask("predictions")}


def test_a_file_and_a_form_bring_values(app, client):
    ids, _ = predicted(client, rows=3)
    lines = (f"{ids[0]},middle,12.5", f"{ids[1]},middle,", f"{ids[2]},<low>, -1e2 ")
    assert uploaded(client, "id,label,value", *lines).get_json()["new"] == 3
    assert values(app) == {ids[0]: 12.5, ids[1]: None, ids[2]: -100.0}
    typed_in = {"id": ids[1], "label": "middle", "value": " 3.25 ", "csrf_token": token(client)}
    assert client.post("/feedback", data=typed_in, headers=PAGE).status_code == 200
    assert values(app)[ids[1]] == 3.25


@pytest.mark.parametrize("text", ["much", "nan", "inf", "1,5"])
def test_a_value_in_a_file_or_form_that_is_no_number_is_refused(app, client, text):
    ids, _ = predicted(client, rows=2)
    answer = uploaded(client, "id,label,value", f"{ids[0]},middle,1", f'{ids[1]},middle,"{text}"')
    assert (answer.status_code, answer.get_json()["errors"][0]["column"]) == (422, "value")
    sending = {"id": ids[1], "label": "middle", "value": text, "csrf_token": token(client)}
    assert client.post("/feedback", data=sending, headers=PAGE).status_code == 422
    assert labels(app, ids[0]) == labels(app, ids[1]) == []


def test_a_page_of_its_own_takes_a_file(app, client):
    ids, _ = predicted(client, rows=2)
    content = io.BytesIO(f"id,label\n{ids[0]},middle\n{ids[1]},middle\n".encode())
    sending = {"file": (content, "l.csv"), "csrf_token": token(client)}
    page = client.post("/feedback/file", data=sending, headers=PAGE)
    assert "2 labels taken" in page.text


def test_without_a_log_there_is_nothing_to_say(bundles, tmp_path):
    registry = FolderRegistry()
    registry.add("1", bundles["binary"])
    environment = {"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(tmp_path), "LOCKSTEP_LOG_ROWS": "off"}
    app = create_app(Settings.read(environment), registry.connect)
    model_service.default(app).look()
    client = app.test_client()
    (own,), _ = predicted(client)
    assert sent(client, own, "middle").status_code == 409
    assert "feedback" not in client.post("/predict", data=typed(app), headers={"Accept": "*/*"}).text.replace(
        "feedback.js", ""
    )


def test_c21_feedback_waits_while_the_database_is_locked(app, client, settings):
    (own,), _ = predicted(client)
    assert sent(client, own, "middle").status_code == 200
    with sqlite3.connect(f"{settings.state}/lockstep.db") as link:
        link.execute("BEGIN EXCLUSIVE")
        assert sent(client, own, "<low>").status_code == 202
        link.rollback()
    link.close()
    assert labels(app, own) == ["<low>", "middle"]
