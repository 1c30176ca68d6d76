"""A server on this machine that takes a `repository_dispatch` as GitHub does, and refuses as GitHub does."""

import http.server
import json
import threading
from contextlib import contextmanager

TOKEN = "token-of-a-test-0123456789"


class Api(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, json.loads(body)))
        self.send_response(self._status())
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _status(self):
        if self.server.statuses:
            return self.server.statuses.pop(0)
        return 204 if self.headers["Authorization"] == f"Bearer {TOKEN}" else 401

    def log_message(self, *words):
        pass


@contextmanager
def serving(*statuses):
    """Yield a server that gives these statuses first; `asked` holds what came."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked, server.statuses = [], list(statuses)
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
