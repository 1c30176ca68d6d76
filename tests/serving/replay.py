"""Replay the cases against a server and say what it gets wrong.

Example: python -m tests.serving.replay http://127.0.0.1:5000 --model models --name breast-cancer
"""

import argparse
import html
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.serving import casefile, contract, wire
from tests.serving.casefile import Case, Inapplicable
from tests.serving.model import PROTOCOLS, Facts, Model

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TOKEN = re.compile(r'<input[^>]*name="csrf_token"[^>]*>')
VALUE = re.compile(r'value="([^"]*)"')
FREE = ("plain", "admin")
"""Servers that answer a good request without a key and at any time."""

GOOD = Case("good", "good", "a good request", 200, predictions=1)


@dataclass
class Target:
    """A running server, the model that it serves, and what else its cases may speak of."""

    host: str
    port: int
    model: Model
    name: str
    protocol: str = "lockstep"
    server: str = "plain"
    known: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> dict[str, str]:
        """What is known without asking."""
        own = {"host": f"{self.host}:{self.port}", "name": self.name, "long": "n" * 5_000, "very_long": "n" * 70_000}
        return own | PROTOCOLS[self.protocol] | self.model.facts() | self.known

    @cached_property
    def facts(self) -> Facts:
        """All facts; the version and the good answer are asked for once, the form's token where there is one."""
        reply = self.ask(GOOD, Facts(self.raw))
        content = contract.strict(reply) if reply and reply.status == 200 else {}
        found = dict(_learned(content)) if isinstance(content, dict) else {}
        return Facts(self.raw | found | (self._visit() if self.protocol == "lockstep" else {}))

    def ask(self, case: Case, facts: Facts) -> wire.Reply | None:
        """Send a case and return the first reply."""
        replies = self.send(case, facts)
        return replies[0] if replies else None

    def send(self, case: Case, facts: Facts) -> list[wire.Reply]:
        """Send a case as often as it says, and return the last replies."""
        for turn in range(case.flood):
            pieces = casefile.request(case, self.model, Facts(facts.raw | {"turn": str(turn)}))
            replies = wire.exchange((self.host, self.port), pieces, case.method, case.cut is not None)
        return replies

    def _visit(self) -> dict[str, str]:
        """Open the form as a browser does, and return its cookie and its token, empty if it has none."""
        visit = Case("visit", "form", "the form", 200, method="GET", path="/", headers=BROWSER)
        reply = self.ask(visit, Facts(self.raw))
        cookie = reply.header("Set-Cookie") if reply else None
        token = TOKEN.search(reply.text) if reply else None
        value = VALUE.search(token[0]) if token else None
        return {"cookie": (cookie or "").partition(";")[0], "csrf": html.unescape(value[1]) if value else ""}

    def play(self, case: Case) -> list[str]:
        """Send a case and then a good request; return what was wrong with either.

        Raises
        ------
        Inapplicable
            The case speaks of what this target does not have.
        """
        if case.server != self.server or (case.only and case.only != self.protocol):
            raise Inapplicable(f"this is for the server {case.server!r} and the protocol {case.only!r}")
        try:
            found = contract.wrong(case, self.send(case, self.facts), self.facts.raw)
        except (TimeoutError, wire.NotHTTP) as error:
            found = [f"{type(error).__name__}: {error}"]
        return found + [f"then a good request: {fault}" for fault in self.after()]

    def after(self) -> list[str]:
        """Ask the good question and return what is wrong with the answer."""
        if self.server not in FREE:
            return []
        try:
            return contract.wrong(GOOD, self.send(GOOD, self.facts), self.facts.raw)
        except (TimeoutError, wire.NotHTTP) as error:
            return [f"{type(error).__name__}: {error}"]


def _learned(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the answer to a good request tells: its prediction, and the version where it is named."""
    for answer in content.get("predictions", [])[:1]:
        own = {key: value for key, value in answer.items() if key != "id"} if isinstance(answer, dict) else answer
        yield "good", json.dumps(own)
    if "model" in content:
        yield "version", content["model"]["version"]


def main(words: Sequence[str] | None = None) -> int:
    """Replay and print what is wrong, then the counts of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="where the server listens, as in http://127.0.0.1:5000")
    parser.add_argument("--model", type=Path, default=Path("models"), help="folder with its schema and smoke rows")
    parser.add_argument("--name", default="breast-cancer", help="name of the model")
    parser.add_argument("-k", dest="only", default="", help="only the cases whose id begins so")
    given = parser.parse_args(words)
    parts = urlsplit(given.address)
    target = Target(parts.hostname or "", parts.port or 80, Model.read(given.model), given.name)
    counts: dict[str, list[int]] = {}
    for case in casefile.load():
        if not case.id.startswith(given.only):
            continue
        try:
            found = target.play(case)
        except Inapplicable as reason:
            print(f"skip {case.id} {case.says}: {reason}")
            continue
        counts.setdefault(case.kind, [0, 0])[bool(found)] += 1
        for fault in found:
            print(f"{case.id} {case.says}: {fault}")
    for kind, (right, wrong) in counts.items():
        print(f"{kind}: {right} of {right + wrong} right")
    return int(any(wrong for _, wrong in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
