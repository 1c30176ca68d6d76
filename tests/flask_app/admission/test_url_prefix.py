import re
from dataclasses import replace

import pytest
from werkzeug.test import Client

from flask_app import create_app
from flask_app.admission import url_prefix
from flask_app.fast_path import FastPath
from flask_app.models import model_service
from lockstep.errors import ConfigError
from tests.flask_app.standins import example, make_bundle

HTML = {"Accept": "text/html"}
PAGES = ("/", "/docs", "/health", "/dashboard", "/feedback", "/model")


@pytest.fixture
def prefixed(settings, registry, bundles):
    """Return a function that gives an app with settings for a proxy."""

    def make(bundle=bundles["binary"], **changes):
        registry.add("1", bundle)
        app = create_app(replace(settings, **changes), registry.connect)
        model_service.default(app).look()
        return app

    return make


def addresses(page):
    found = re.findall(r'(?:href|src|action)="([^"#?]+)', page)
    return [address for address in found if not address.startswith(("http", "data:"))]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("shown", ["/ml", ""])
def test_every_address_of_a_page_is_under_the_prefix(prefixed, path, shown):
    client = prefixed(url_prefix="/ml/").test_client()
    page = client.get(shown + path, headers=HTML)
    assert page.status_code == 200
    found = addresses(page.text)
    assert found
    for address in found:
        assert address.startswith("/ml/") or not address.startswith("/"), address
        with client.get(address if address.startswith("/") else f"/ml/{address}") as answer:
            assert answer.status_code in (200, 405), address


@pytest.mark.parametrize(
    ("hops", "header", "root"),
    [
        (1, "/ml", "/ml"),
        (1, "/a/b/", "/a/b"),
        (1, "//evil.example", ""),
        (1, '/ml">', ""),
        (1, "ml", ""),
        (1, "https://evil.example/ml", ""),
        (2, "/client, /proxy, /front", "/proxy"),
        (0, "/ml", ""),
    ],
)
def test_the_header_counts_from_trusted_proxies_and_as_a_path(prefixed, hops, header, root):
    client = prefixed(trusted_proxies=hops).test_client()
    headers = {"X-Forwarded-Prefix": header}
    assert f'action="{root}/predict"' in client.get("/", headers=headers | HTML).text
    assert client.get("/openapi.json", headers=headers).get_json()["servers"] == [{"url": root or "/"}]
    assert f'data-root="{root}"' in client.get("/docs", headers=headers).text


@pytest.mark.parametrize(
    ("changes", "wrapped"), [({}, False), ({"url_prefix": "/ml"}, True), ({"trusted_proxies": 1}, True)]
)
def test_an_app_without_prefix_and_proxies_is_not_wrapped(prefixed, changes, wrapped):
    app = prefixed(**changes)
    assert ("wsgi_app" in vars(app)) == wrapped


@pytest.mark.parametrize("path", ["/predict", "/ml/predict", "/ml/models/demo/predict"])
def test_both_ways_to_answer_know_the_prefix(prefixed, tmp_path, path):
    bundle = make_bundle("binary", tmp_path / "plain", odd="a")  # a name that the fast path can decode
    app = prefixed(bundle, url_prefix="/ml")
    body = {"rows": [example(app)]}
    assert app.test_client().post(path, json=body).status_code == 200
    app.wsgi_app = None  # so that the fast path alone can answer
    assert Client(FastPath(app)).post(path, json=body).status_code == 200


@pytest.mark.parametrize(
    ("path", "stripped"), [("/ml/x", "/x"), ("/ml", "/"), ("/ml/", "/"), ("/mlx", "/mlx"), ("/x/ml/", "/x/ml/")]
)
def test_a_prefix_is_whole_segments(path, stripped):
    assert url_prefix.stripped(path, "/ml") == stripped


@pytest.mark.parametrize("prefix", ["ml", "//ml", "/m l", "https://a/ml", "/ml?x"])
def test_a_setting_that_is_no_path_is_refused(prefixed, prefix):
    with pytest.raises(ConfigError, match="LOCKSTEP_URL_PREFIX"):
        prefixed(url_prefix=prefix)
