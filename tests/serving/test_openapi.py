"""Schemathesis, with every check that it has, finds nothing in what /openapi.json promises."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import naive, wire

pytestmark = pytest.mark.server

CONFIG = Path(__file__).parent / "schemathesis.toml"
MODELS = ("default", "mixed", "text")
QUICK_MODEL = "mixed"
LONG = pytest.mark.long("starts a server for one more model")
GET = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SPARE = 1.5
"""Some generated cases are equal to others and left out."""

MANY = 1000
"""From so many cases on, every boundary of every column is tried too, which alone makes thousands."""


@pytest.fixture(params=[QUICK_MODEL, *(pytest.param(name, marks=LONG) for name in MODELS if name != QUICK_MODEL)])
def described(request, servers):
    """A running server and its description of itself, with each model in turn."""
    target = servers.target(request.param, "admin")
    (reply,) = wire.exchange((target.host, target.port), [GET], "GET")
    if reply.status == 404:
        pytest.skip("/openapi.json IS NOT SERVED YET: NOTHING WAS CHECKED AGAINST IT")
    assert reply.status == 200
    return target, json.loads(reply.body)


def test_schemathesis_finds_nothing(described, request, tmp_path):
    needed()
    target, content = described
    least = request.config.getoption("--openapi-cases") // len(MODELS)
    found = run(f"http://{target.host}:{target.port}", content, least, tmp_path)
    assert found["errors"] == found["failures"] == []
    assert found["test_cases"]["generated"] >= least
    assert target.after() == []


@pytest.mark.long("tries Schemathesis itself")
def test_schemathesis_finds_what_a_naive_app_gets_wrong(tmp_path):
    needed()
    with naive.running() as port:
        found = run(f"http://127.0.0.1:{port}", naive.OPENAPI, 60, tmp_path)
    assert {failure["type"] for failure in found["failures"]} >= {"ServerError", "AcceptedNegativeData"}


def needed():
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("SCHEMATHESIS IS NOT INSTALLED: NO DESCRIPTION WAS CHECKED")


def run(address, content, least, folder):
    """Let Schemathesis generate at least so many cases, and return its report."""
    asked = [
        operation for path in content["paths"].values() for operation in path.values() if "requestBody" in operation
    ]
    each = round(SPARE * least / len(asked))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run"]
    command += [
        f"{address}/openapi.json",
        "--checks",
        "all",
        "--continue-on-failure",
        "--max-examples",
        str(each),
        "--seed",
        "1",
    ]
    command += [] if least >= MANY else ["--phases", "examples,fuzzing"]
    command += ["--report", "json", "--report-json-path", str(folder / "report.json")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600)
    shown = "\n".join(line[:300] for line in done.stdout.splitlines())
    assert (folder / "report.json").is_file(), shown + done.stderr
    print(shown[-8000:])
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_description_is_complete(described):
    _, content = described
    assert content["openapi"].startswith("3.")
    for path, operations in content["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), f"{method} {path}"
            for status, answer in operation["responses"].items():
                media = resolved(answer, content).get("content", {})
                assert status < "400" or "application/problem+json" in media, f"{method} {path} {status}"


def resolved(part, content):
    """Follow a reference within the description."""
    for step in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        part = content = content[step]
    return part


def test_the_description_names_every_column(described):
    target, content = described
    text = json.dumps(content, ensure_ascii=False)
    assert [name for name in target.model.row if json.dumps(name, ensure_ascii=False) not in text] == []
