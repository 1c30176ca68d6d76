"""A proxy in front of a real MLflow server that refuses what DagsHub refuses."""

import http.client
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import urlsplit

from tests import http_stand_in

ALWAYS = ("/api/3.0/", "/api/2.0/mlflow/logged-models")
ALIASES = ("/api/2.0/mlflow/registered-models/alias",)
STAGES = ("/api/2.0/mlflow/model-versions/transition-stage", "/api/2.0/mlflow/registered-models/get-latest-versions")
REGISTRY = ("/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions")
BODY = b'{"error": "unsupported endpoint, please contact support@dagshub.com"}'
HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "date", "server"}


class Proxy(BaseHTTPRequestHandler):
    upstream = ""
    refused: tuple[str, ...] = ()
    seen: ClassVar[list[tuple[str, str]]] = []

    def log_message(self, *_):
        pass

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).seen.append((self.command, self.path))
        if self.path.startswith(self.refused):
            self._answer(404, [("Content-Type", "application/json")], BODY)
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "accept-encoding")}
        link = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=20)
        try:
            link.request(self.command, self.path, body, headers)
            answer = link.getresponse()
            self._answer(answer.status, answer.getheaders(), answer.read())
        finally:
            link.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler):
    """Serve a handler on a free port and yield its address."""
    with http_stand_in.running(handler) as server:
        yield server.url


def proxy(upstream, *refused):
    """Return a proxy class of its own, which refuses these paths besides what DagsHub always refuses."""
    return type("DagsHubLike", (Proxy,), {"upstream": upstream, "refused": ALWAYS + refused, "seen": []})
