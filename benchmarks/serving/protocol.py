"""Replay the request cases of the tests against `mlflow models serve` with the same model, and count correct responses.

Example: python -m benchmarks.serving.protocol --ours http://127.0.0.1:5000
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.serving import casefile, contract, wire
from tests.serving.casefile import Case, Inapplicable
from tests.serving.model import Model
from tests.serving.replay import GOOD, Target

KINDS = ("broken JSON", "envelope", "columns", "values", "HTTP itself", "good")
START_S = 120
Counts = dict[str, tuple[int, ...]]
MEASURES = ("right", "and quiet", "to the letter")
"""Refused or answered as is due; nothing of the inside told as well; all that our contract asks."""


def package(models: Path, to: Path) -> Path:
    """Write the model as an MLflow folder with a signature, so that MLflow checks all that it can."""
    from mlflow.models import ModelSignature, set_signature
    from mlflow.types import ColSpec, Schema, TensorSpec

    from lockstep.modeling import serialization
    from lockstep.registry.bundle import package_model

    trusted = sorted(serialization.check((models / "model.skops").read_bytes(), str(models)))
    folder = package_model(models, to, ["scikit-learn"], trusted)
    columns = json.loads((models / "schema.json").read_text(encoding="utf-8"))["columns"]
    types: list[ColSpec | TensorSpec] = [
        ColSpec("double" if one["kind"] == "numeric" else "string", one["name"], required=not one["nullable"])
        for one in columns
    ]
    set_signature(str(folder), ModelSignature(inputs=Schema(types)))
    return folder


@contextlib.contextmanager
def scoring_server(model: Path, log: Path) -> Iterator[int]:
    """Run MLflow's scoring server with two workers until the block ends, and yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        _wait(port, process, log)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), opener.open(f"http://127.0.0.1:{port}/ping", timeout=2):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def count(target: Target) -> Counts:
    """Return for each kind the number of cases and, for each measure, how many keep to it."""
    counts: Counts = {}
    for case in casefile.load():
        if case.kind not in KINDS:
            continue
        try:
            passed = judge(target, case)
        except Inapplicable:
            continue
        before = counts.get(case.kind, (0,) * (1 + len(passed)))
        counts[case.kind] = tuple(one + more for one, more in zip(before, (1, *passed), strict=True))
    return counts


def judge(target: Target, case: Case) -> tuple[bool, bool, bool]:
    """Tell which measures a server keeps to in one case; a good request right after it must be answered too.

    Raises
    ------
    Inapplicable
        The case is not for this protocol or model.
    """
    if case.server != "plain" or case.only:
        raise Inapplicable("only what every protocol has in common is compared")
    facts = target.facts
    try:
        replies = target.send(case, facts)
        after = target.send(GOOD, facts)
    except (TimeoutError, wire.NotHTTP):
        return False, False, False
    right = contract.roughly_right(case, replies, facts.raw) and contract.roughly_right(GOOD, after, facts.raw)
    quiet = right and not any(True for reply in replies for _ in contract.leaks(reply))
    return right, quiet, quiet and not contract.wrong(case, replies, facts.raw)


def table(sides: dict[str, Counts]) -> str:
    """Return the counts as Markdown, a row for each kind."""
    head = ["kind", "cases", *(f"{side}: {measure}" for side in sides for measure in MEASURES)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    rows = {kind: [side.get(kind, (0,) * (1 + len(MEASURES))) for side in sides.values()] for kind in KINDS}
    rows["all"] = [tuple(map(sum, zip(*side.values(), strict=True))) for side in sides.values()]
    for kind, counts in rows.items():
        lines.append([kind, str(counts[0][0]), *(str(one) for side in counts for one in side[1:])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Count and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder that `dvc repro` writes")
    parser.add_argument("--name", default="breast-cancer", help="name of our model")
    parser.add_argument("--ours", default="", help="address of our server, to count it too")
    arguments = parser.parse_args()
    model = Model.read(arguments.models)
    sides: dict[str, Counts] = {}
    if arguments.ours:
        parts = urlsplit(arguments.ours)
        sides["Lockstep"] = count(Target(parts.hostname or "", parts.port or 80, model, arguments.name))
    with tempfile.TemporaryDirectory() as folder:
        packaged = package(arguments.models, Path(folder) / "model")
        with scoring_server(packaged, Path(folder) / "log") as port:
            sides["mlflow models serve"] = count(Target("127.0.0.1", port, model, arguments.name, protocol="mlflow"))
    print(table(sides))


if __name__ == "__main__":
    main()
