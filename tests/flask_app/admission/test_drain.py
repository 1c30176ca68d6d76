from flask_app.admission import drain


def test_a_server_that_leaves_is_not_ready_and_answers_on(app, client):
    drain.from_app(app).begin()
    response = client.get("/readyz")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "about to stop" in response.get_json()["detail"]
    assert client.get("/livez").status_code == 200


def test_answers_close_their_connections_only_while_leaving(app):
    seen = []
    wrapped = drain.from_app(app).wrap(lambda environ, start: start("200 OK", [("A", "b")]) or [b""])

    def start_response(status, headers, exc_info=None):
        seen.append((status, headers))

    wrapped({}, start_response)
    drain.from_app(app).begin()
    wrapped({}, start_response)
    assert seen == [("200 OK", [("A", "b")]), ("200 OK", [("A", "b"), ("Connection", "close")])]
