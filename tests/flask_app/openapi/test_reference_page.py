import html
import json
import re

import pytest

from tests.flask_app.standins import ODD


@pytest.fixture
def page(client):
    response = client.get("/docs")
    assert response.status_code == 200
    return response.text


def test_every_operation_is_shown(client, page):
    for path, operations in client.get("/openapi.json").get_json()["paths"].items():
        for method, operation in operations.items():
            assert f'id="{operation["operationId"]}"' in page
            assert f'data-method="{method.upper()}" data-path="{path}"' in page


def test_bodies_on_the_page_are_answered(client, page):
    forms = re.findall(r'data-method="POST" data-path="([^"{]+)">(.*?)</form>', page, re.DOTALL)
    bodies = {path: re.search(r"<textarea[^>]*>(.*?)</textarea>", form, re.DOTALL) for path, form in forms}
    unknown = ("/admin/reload", "/admin/rollback", "/retrain", "/feedback")
    sent = {path: json.loads(html.unescape(body[1])) for path, body in bodies.items() if body and path not in unknown}
    assert len(sent) == 6
    for path, body in sent.items():
        assert client.post(path, json=body).status_code == 200, path


def test_columns_stand_there_once_with_their_examples(page):
    (table,) = re.findall(r"<caption>The columns of Row</caption>.*?</table>", page, re.DOTALL)
    assert html.unescape(table).count(f"<code>{ODD}</code>") == 1
    assert "In training from 1 to 8." in table


def test_nothing_comes_from_elsewhere_or_runs_inline(page):
    assert not re.findall(r'(?:src|href)="(?!/|#)', page)
    assert not re.findall(r"<script(?![^>]*src=)|\son\w+=|style=", page)


def test_a_wide_model_keeps_the_page_short(serve, bundle):
    assert len(serve(bundle).test_client().get("/docs").data) < 150_000
