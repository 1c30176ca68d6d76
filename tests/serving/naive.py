"""An app as tutorials write it: it answers what is good, and fails at most of what is not."""

import contextlib
import threading

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

ROW = {
    "type": "object",
    "properties": {"size": {"type": "number"}, "rooms": {"type": "number"}},
    "required": ["size", "rooms"],
    "additionalProperties": False,
}
BODY = {"type": "object", "properties": {"rows": {"type": "array", "items": ROW}}, "required": ["rows"]}
OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "naive", "version": "1"},
    "paths": {
        "/predict": {
            "post": {
                "summary": "Predict.",
                "requestBody": {"required": True, "content": {"application/json": {"schema": BODY}}},
                "responses": {"200": {"description": "answers"}, "422": {"description": "refused"}},
            }
        }
    },
}


def app():
    """Return the app."""
    app = flask.Flask("naive")

    @app.post("/predict")
    def predict():
        rows = flask.request.get_json(force=True)["rows"]
        answers = [{"prediction": float(row["size"]) * float(row["rooms"])} for row in rows]
        return {"model": {"name": "naive", "version": "1"}, "predictions": answers}

    @app.get("/openapi.json")
    def openapi():
        return OPENAPI

    return app


class Discreet(WSGIRequestHandler):
    """Names no version in the header Server, lest every case fail for that alone."""

    def version_string(self):
        return "naive"

    def log(self, *_):
        pass


@contextlib.contextmanager
def running():
    """Serve the app until the block ends, and yield its port."""
    server = make_server("127.0.0.1", 0, app(), threaded=True, request_handler=Discreet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
