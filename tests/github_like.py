"""A server on this machine that takes a `repository_dispatch` and comments as GitHub does, and refuses as it does."""

import http.server
import json
import re
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from tests import http_stand_in

TOKEN = "token-of-a-test-0123456789"
READ_TOKEN = "token-of-a-fork-0123456789"
"""May read comments, and write none."""

COMMENTS = re.compile(r"/repos/[\w-]+/[\w-]+/issues/(?:comments/(?P<id>\d+)|(?P<number>\d+)/comments)")


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self._comment(None)

    def do_PATCH(self):
        self._comment(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_DELETE(self):
        self._comment(None)

    def _comment(self, content):
        """Read, write, change or remove comments; the oldest come first, in pages."""
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        status, comments = self._right(), self.server.comments
        place, answer = COMMENTS.fullmatch(path), None
        if place is None or (place["id"] and int(place["id"]) not in comments):
            status = 404
        elif status < 300 and self.command == "GET":
            size, page = int(query["per_page"][0]), int(query["page"][0])
            answer = list(comments.values())[size * (page - 1) : size * page]
        elif status < 300:
            self.server.asked.append((self.command, content))
            number = int(place["id"] or len(comments) + 1)
            if self.command == "DELETE":
                status = 204 if comments.pop(number) else 404
            else:
                answer = comments[number] = {"id": number, "body": content["body"]}
        self._answer(status, answer)

    def _right(self):
        """Return the status by the token: one of a fork reads alone."""
        if self.server.statuses:
            return self.server.statuses.pop(0)
        given = self.headers["Authorization"]
        if given == f"Bearer {READ_TOKEN}":
            return 200 if self.command == "GET" else 403
        return {"POST": 201}.get(self.command, 200) if given == f"Bearer {TOKEN}" else 401

    def _answer(self, status, content):
        text = json.dumps(content).encode() if content is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        if COMMENTS.fullmatch(self.path):
            return self._comment(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        return self._dispatch()

    def _dispatch(self):
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
    """Yield a server that gives these statuses first; `asked` holds what came, `comments` those of a pull request."""
    with http_stand_in.running(Api, asked=[], statuses=list(statuses), comments={}) as server:
        yield server
