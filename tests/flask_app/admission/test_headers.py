import pytest

from tests.flask_app.standins import example

ORIGINS = [
    ("http://localhost", 200),
    ("http://localhost:80", 403),
    ("https://evil.example", 403),
    ("null", 403),
    ("http://[::1", 403),
    ("http://[evil]x/", 403),
    ("http://\u2100.example", 403),
    ("//[", 403),
    ("", 403),
]


@pytest.mark.parametrize(("origin", "status"), ORIGINS)
def test_the_origin_of_a_post_is_this_host_or_it_is_refused(app, client, origin, status):
    answer = client.post("/predict", json={"rows": [example(app)]}, headers={"Origin": origin})
    assert answer.status_code == status
