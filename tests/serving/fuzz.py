"""Make up requests from those of the cases and give them to the app in this process: nothing may crash it.

Example: python -m tests.serving.fuzz --runs 1000000 --seed 1
"""

import argparse
import base64
import collections
import io
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_app import create_app
from flask_app.fast_path import FastPath
from flask_app.models import model_service
from lockstep.config.settings import Settings
from tests.flask_app.standins import FolderRegistry, make_bundle
from tests.serving import casefile, contract, mutation
from tests.serving.casefile import Inapplicable
from tests.serving.model import PROTOCOLS, Facts, Model
from tests.serving.wire import Reply

TASKS = ("binary", "multiclass", "regression", "text")
LONGEST = 20_000
ID = re.compile(rb'"[0-9a-f]{32}"')
KNOWN_HEADERS = (
    "CONTENT_TYPE",
    "HTTP_ACCEPT",
    "HTTP_CONTENT_ENCODING",
    "HTTP_ORIGIN",
    "HTTP_COOKIE",
    "HTTP_IDEMPOTENCY_KEY",
)


@dataclass(frozen=True)
class Seed:
    """A request with POST to start from."""

    path: str
    headers: dict[str, str]
    body: bytes


class Crashed(Exception):
    """A made-up request was answered as none may be."""


class Subject:
    """The app with one small model, and the requests of the cases as they are for that model."""

    def __init__(self, task: str, folder: Path) -> None:
        bundle = make_bundle(task, folder / task)
        registry = FolderRegistry()
        registry.add("1", bundle)
        settings = Settings.read({"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(folder / "state" / task)})
        app = create_app(settings, registry.connect)
        model_service.default(app).look()
        self.front, self.flask = FastPath(app), app.wsgi_app
        self.seeds = list(seeds(Model.read(bundle)))

    def ask(self, seed: Seed, app: Any) -> Reply:
        """Give a request to the app, or to what stands before it.

        Raises
        ------
        Crashed
            It raised something.
        """
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": seed.path,
            "CONTENT_LENGTH": str(len(seed.body)),
            "wsgi.input": io.BytesIO(seed.body),
            **ENVIRON,
            **seed.headers,
        }
        heads: list[Any] = []
        try:
            body = b"".join(app(environ, lambda *head: heads.append(head)))
        except Exception as error:
            raise Crashed(f"{error!r}: {seed}") from error
        status, headers = heads[-1][:2]
        return Reply(int(status.split()[0]), tuple(headers), body)

    def check(self, seed: Seed) -> int:
        """Ask, look at the answer, and return its status.

        Raises
        ------
        Crashed
            The app crashed, leaked, or answered otherwise than without the short way in front of it.
        """
        reply = self.ask(seed, self.front)
        fault = f"status {reply.status}" if reply.status >= 500 else next(contract.leaks(reply), "")
        if not fault and reply.media_type == contract.PROBLEM and isinstance(contract.strict(reply), str):
            fault = "not strict JSON"
        if not fault and reply.status == 200 and reply.media_type == "application/json":
            fault = self._differs(seed, reply)
        if fault:
            raise Crashed(f"{fault}: POST {seed.path} {seed.headers} {base64.b64encode(seed.body).decode()}")
        return reply.status

    def _differs(self, seed: Seed, reply: Reply) -> str:
        other = self.ask(seed, self.flask)
        same = other.status == 200 and without_ids(other) == without_ids(reply)
        return "" if same else f"{reply.text[:200]} in front and {other.status} {other.text[:200]} behind"


ENVIRON: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "5000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "127.0.0.1:5000",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


def without_ids(reply: Reply) -> Any:
    """Return the JSON of an answer, the ids of its predictions all alike."""
    return json.loads(ID.sub(b'"id"', reply.body))


def seeds(model: Model) -> Iterator[Seed]:
    """Yield the requests of the cases that fit a model and are not long."""
    raw = {"host": "127.0.0.1:5000", "name": "demo", "version": "1", "long": "n" * 100, "very_long": "n" * 1000}
    raw |= PROTOCOLS["lockstep"] | model.facts() | {"cookie": "a=b", "csrf": "c", "turn": "1"}
    for case in casefile.load():
        if case.method != "POST" or case.line or case.chunked or case.compress or case.server != "plain":
            continue
        try:
            (piece,) = casefile.request(case, model, Facts(raw))[:1]
        except Inapplicable:
            continue
        head, _, body = bytes(piece).partition(b"\r\n\r\n")  # type: ignore[arg-type]
        if len(body) <= LONGEST:
            yield seed_of(head.decode("latin-1").split("\r\n"), body)


def seed_of(lines: list[str], body: bytes) -> Seed:
    """Return a request as an app is given it."""
    address = lines[0].split(" ")[1]
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        variable = name.upper().replace("-", "_")
        headers["CONTENT_TYPE" if variable == "CONTENT_TYPE" else f"HTTP_{variable}"] = value.strip()
    kept = {name: value for name, value in headers.items() if name in KNOWN_HEADERS}
    return Seed(address.partition("?")[0], kept, body)


def fuzz(subject: Subject, runs: int, seed: int) -> collections.Counter[int]:
    """Make up so many requests and return how often each status was the answer.

    Raises
    ------
    Crashed
        With the request, its body in base 64.
    """
    chance = random.Random(seed)
    statuses: collections.Counter[int] = collections.Counter()
    for _ in range(runs):
        start = chance.choice(subject.seeds)
        other = chance.choice(subject.seeds)
        body = mutation.mutate(start.body, other.body, chance)
        headers = start.headers if chance.random() < 0.9 else other.headers
        statuses[subject.check(Seed(start.path, headers, body))] += 1
    return statuses


def main() -> None:
    """Fuzz each model in turn and print what was answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="requests to make up, over all models")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for place, task in enumerate(TASKS):
            started = time.perf_counter()
            statuses = fuzz(Subject(task, Path(folder)), given.runs // len(TASKS), given.seed + place)
            print(f"{task}: {dict(sorted(statuses.items()))} in {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
