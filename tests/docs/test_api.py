import json
import re
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from flask_app import create_app
from flask_app.models import model_service
from lockstep.config.settings import Settings
from tests.flask_app.standins import FolderRegistry, make_bundle

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```http\nPOST (\S+)( \d{3})?\n(.*?)```(?:\n\n```json\n(.*?)```)?", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """An app that serves a model of reviews as version 3."""
    registry = FolderRegistry("reviews")
    registry.add("3", make_bundle("text", tmp_path_factory.mktemp("bundle")))
    settings = {"LOCKSTEP_MODEL_NAME": "reviews", "LOCKSTEP_STATE": str(tmp_path_factory.mktemp("state"))}
    app = create_app(Settings.read(settings), registry.connect)
    model_service.default(app).look()
    return app


@pytest.fixture
def url(app):
    """The address of a server in a thread."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def shape(content):
    """Return content with every text and number replaced by its type, but for those that are told."""
    if isinstance(content, dict):
        return {key: shape(value) for key, value in content.items()}
    if isinstance(content, list):
        return [shape(value) for value in content]
    if isinstance(content, str) and content not in ("positive", "negative", "reviews", "3", "r1"):
        return "text" if len(content) < 60 else content
    return float if isinstance(content, float) else content


def test_there_are_examples():
    assert len(BLOCKS) == 8


@pytest.mark.parametrize(
    ("path", "status", "body", "answer"), BLOCKS, ids=[f"{path} {body[:30]}" for path, _, body, _ in BLOCKS]
)
def test_examples_are_answered_as_shown(app, path, status, body, answer):
    response = app.test_client().post(path, json=json.loads(body))
    assert response.status_code == int(status or 200)
    if answer:
        assert shape(response.get_json()) == shape(json.loads(answer))


def test_the_client_does_what_the_page_says(url, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {"url": url})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("positive 0.")
    assert second.startswith("422 [(0, 'review', 'missing column')")


def test_the_page_names_every_exception():
    from lockstep import client

    kinds = [
        name for name, kind in vars(client).items() if isinstance(kind, type) and issubclass(kind, client.ClientError)
    ]
    assert [name for name in kinds if f"| `{name}` |" not in PAGE] == []
