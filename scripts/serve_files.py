"""Ask a served model about its own train rows in three ways: as JSON, as a CSV upload and by `lockstep predict`."""

import csv
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lockstep import files, paths
from lockstep.config.params import Reader
from lockstep.data import cleaning, frames, parquet
from lockstep.data.schema import Schema, label_name

LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens addresses of this machine, past any proxy."""
ROWS, START_S = 200, 60
Answers = list[tuple[str, ...]]


def differing(copy: Path, source: Path, positions: Sequence[int]) -> str:
    """Promote and serve the model of a project; return how many answers differ, or nothing if all are equal.

    `positions` are those of the train rows in the source file.
    """
    chosen = range(0, len(positions), max(1, len(positions) // ROWS))
    schema = Schema.from_json(files.read_json(copy / paths.SCHEMA))
    train = cleaning.with_kinds(parquet.read(copy / paths.TRAIN), schema.kinds).iloc[list(chosen)]
    rows = schema.objects(frames.rows_of(train, schema))
    sample = lines(source, schema.reader or Reader(), [positions[index] for index in chosen])
    (copy / "sample.csv").write_bytes(sample)
    command(copy, "promote")
    command(copy, "predict", "sample.csv", "scored.csv")
    scored = of_table((copy / "scored.csv").read_text(encoding="utf-8"), ",", schema)
    with served(copy) as address:
        by_json = of_json(post(f"{address}/predict", json.dumps({"rows": rows}).encode(), "application/json"), schema)
        body, kind = multipart(sample)
        separator = schema.reader.separator if schema.reader else ","
        uploaded = of_table(post(f"{address}/predict/file", body, kind), separator, schema)
    wrong = {"upload": different(by_json, uploaded), "predict": different(by_json, scored)}
    return ", ".join(f"{count} of {len(rows)} differ by {way}" for way, count in wrong.items() if count)


def lines(source: Path, reader: Reader, positions: Sequence[int]) -> bytes:
    """Return the header and some rows of a CSV file as they stand in it."""
    with gzip.open(source) as stream:
        text = stream.read().decode(reader.encoding).removeprefix("\ufeff")
    records = list(csv.reader(io.StringIO(text, newline=""), delimiter=reader.separator))[reader.skip :]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=reader.separator).writerows([records[0], *(records[1 + row] for row in positions)])
    return stream.getvalue().encode(reader.encoding)


def command(copy: Path, *words: str) -> None:
    """Run a command of lockstep in a project."""
    subprocess.run([sys.executable, "-m", "lockstep", *words], cwd=copy, env=environment(), stdout=2, check=True)


def environment() -> dict[str, str]:
    """Return the environment in which a copy of the project finds its own code."""
    bin_folder = Path(sys.executable).parent
    return os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "src:."}


@contextmanager
def served(copy: Path) -> Iterator[str]:
    """Serve the model in Production; yield the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "lockstep", "serve", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(words, cwd=copy, env=environment(), stdout=2, start_new_session=True)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_until_ready(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Return once the server answers predictions."""
    for _ in range(10 * START_S):
        try:
            with LOCAL.open(f"{address}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit("the server is not ready")


def post(address: str, body: bytes, kind: str) -> str:
    """Send a request and return the text of its answer."""
    request = urllib.request.Request(address, body, {"Content-Type": kind, "Accept": "application/json, text/csv"})
    try:
        with LOCAL.open(request, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{address}: {error.code} {error.read().decode()[:2000]}") from None


def multipart(content: bytes) -> tuple[bytes, str]:
    """Return a form with one file, and its media type."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="sample.csv"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def of_json(text: str, schema: Schema) -> Answers:
    """Return prediction and probabilities of each row."""
    return [
        tuple(map(spelled, [answer["prediction"], *answer.get("probabilities", {}).values()]))
        for answer in json.loads(text)["predictions"]
    ]


def of_table(text: str, separator: str, schema: Schema) -> Answers:
    """Return the last columns of a file with predictions."""
    width = 1 + len(schema.labels)
    records = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator))[1:]
    return [tuple(map(spelled, record[-width:])) for record in records]


def spelled(value: Any) -> str:
    """Return a label or number in one spelling."""
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return label_name(value)


def different(answers: Answers, others: Answers) -> int:
    """Return how many answers differ."""
    return sum(one != other for one, other in zip(answers, others, strict=True))
