"""Comparison of HTTP servers: one small application under load, slow clients, SIGTERM and SIGKILL.

    python -m benchmarks.serving.servers [--servers NAME ...] [--rounds N] [--seconds S] [--write]
    python -m benchmarks.serving.servers --app MODULE:NAME --interface wsgi [--path /predict --body FILE --folder PLACE]

Served are a constant and a linear model (server_apps.py). With --app another application replaces them, called first
if its name ends in (); --body is a file with the JSON to send, --folder the working directory. Figures for
each server with two workers: requests per second and p99 at 1, 16 and 64 connections; how many of 20 good requests are
answered while 200 connections hold half a request; how many requests are lost as SIGTERM comes under load; and the
seconds until a killed worker is replaced.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from sysconfig import get_path

from benchmarks.serving import environments, load, report, server_apps, server_faults
from benchmarks.serving.environments import ROOT, STATE
from benchmarks.serving.figures import percentile, rotated
from benchmarks.serving.load import Driver, Load, Plan
from benchmarks.serving.models import compact, environment
from benchmarks.serving.processes import Server
from benchmarks.serving.sides import SERVICES, WORKERS

PAGE = ROOT / "docs" / "measurements" / "serving.md"
TARGET = "served:app"
CONNECTIONS = (1, 16, 64)
WARM_S = 0.3


@dataclass(frozen=True)
class App:
    """What is served, as `module:name`; `expected` is how every answer must end."""

    name: str
    target: str
    path: str = "/"
    body: bytes = b""
    expected: bytes = b""
    folder: Path = ROOT

    @property
    def request(self) -> bytes:
        """The request that is sent again and again."""
        if self.body:
            return load.post(self.path, self.body)
        return f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode()

    def bad(self, seen: Load) -> int:
        """Count what was not answered, or not rightly."""
        wrong = sum(answer.status != 200 or not answer.content.endswith(self.expected) for answer in seen.answers)
        return wrong + seen.lost


@dataclass(frozen=True)
class Kind:
    """A server: the interface that it speaks, and its command for an application and a port."""

    name: str
    interface: str
    command: Callable[[int], list[str]]


@dataclass
class Row:
    """What was seen of one server with one application; None where a worker was not replaced."""

    server: str
    app: str
    per_second: dict[int, list[float]] = field(default_factory=dict)
    latencies_ms: dict[int, list[float]] = field(default_factory=dict)
    cpu_us: dict[int, list[float]] = field(default_factory=dict)
    good_answered: int = 0
    answered_on_stop: int = 0
    lost_on_stop: int = 0
    replaced_s: float | None = None
    bad: int = 0
    failed: str = ""


def _granian(interface: str) -> Callable[[int], list[str]]:
    threads = ["--blocking-threads", "512"] if interface == "wsgi" else []
    quiet = ["--no-ws", "--log-level", "error", "--respawn-failed-workers", "--workers-kill-timeout", "20"]
    listen = ["granian", "--interface", interface, "--host", "127.0.0.1", "--workers", str(WORKERS), "--port"]
    return lambda port: [*listen, str(port), *threads, *quiet, TARGET]


def _gunicorn(*kind: str) -> Callable[[int], list[str]]:
    quiet = ["--log-level", "error", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
    return lambda port: ["gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), *kind, *quiet, TARGET]


def _uvicorn(port: int) -> list[str]:
    quiet = ["--no-access-log", "--log-level", "error", "--workers", str(WORKERS)]
    return ["uvicorn", "--host", "127.0.0.1", "--port", str(port), *quiet, TARGET]


def _hypercorn(port: int) -> list[str]:
    kind = ["--workers", str(WORKERS), "--worker-class", "uvloop", "--log-level", "error"]
    return ["hypercorn", "--bind", f"127.0.0.1:{port}", *kind, TARGET]


def _waitress(port: int) -> list[str]:
    return ["waitress-serve", "--host", "127.0.0.1", "--port", str(port), "--threads", "8", TARGET]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("granian-rsgi", "rsgi", _granian("rsgi")),
        Kind("granian-asgi", "asgi", _granian("asgi")),
        Kind("granian-wsgi", "wsgi", _granian("wsgi")),
        Kind("uvicorn", "asgi", _uvicorn),
        Kind("hypercorn", "asgi", _hypercorn),
        Kind("gunicorn-gevent", "wsgi", _gunicorn("--worker-class", "gevent")),
        Kind("gunicorn-gthread", "wsgi", _gunicorn("--worker-class", "gthread", "--threads", "8")),
        Kind("waitress", "wsgi", _waitress),
    )
}


def main(words: Sequence[str]) -> int:
    """Measure each server with each application, and print the table."""
    arguments = _arguments(words)
    kinds = [KINDS[name] for name in arguments.servers or KINDS]
    if arguments.app:
        kinds = [kind for kind in kinds if kind.interface == arguments.interface]
    apps = _apps(arguments)
    rows = [row for names in apps for row in compare(kinds, names, arguments)]
    STATE.mkdir(parents=True, exist_ok=True)
    (STATE / "servers.json").write_text(f"{json.dumps([summary(row) for row in rows], indent=1)}\n", encoding="utf-8")
    print(table(rows))
    if arguments.write:
        text = report.fill(PAGE.read_text(encoding="utf-8"), {"servers": f"{table(rows)}\n"})
        PAGE.write_text(text, encoding="utf-8")
    return int(any(row.bad or row.failed for row in rows))


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving.servers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--servers", nargs="+", choices=list(KINDS), help="only these servers")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=1.5, help="seconds for each measurement (default 1.5)")
    parser.add_argument("--port", type=int, default=7000, help="first of ten ports to use (default 7000)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements/serving.md")
    parser.add_argument("--app", metavar="MODULE:NAME", help="another application to serve")
    parser.add_argument("--interface", choices=("wsgi", "asgi", "rsgi"), default="wsgi", help="its interface")
    parser.add_argument("--path", default="/", help="where to ask it (default /)")
    parser.add_argument("--body", type=Path, help="a file with the JSON to send (default: GET)")
    parser.add_argument("--folder", type=Path, default=ROOT, help="the directory to start it in")
    return parser.parse_args(words)


def _apps(arguments: argparse.Namespace) -> list[dict[str, App]]:
    """Return what to serve, each as one application for every interface."""
    if arguments.app:
        body = arguments.body.read_bytes() if arguments.body else b""
        given = App(arguments.app, arguments.app, arguments.path, body, folder=arguments.folder)
        return [{arguments.interface: given}]
    question = compact({"rows": [[0.1] * server_apps.COLUMNS]})
    found = []
    for name, body in (("constant", b""), ("linear model", question)):
        expected = server_apps.answer(body).partition(b'"probabilities"')[2]
        found.append({kind: App(name, f"{server_apps.__name__}:{kind}", "/", body, expected) for kind in INTERFACES})
    return found


def compare(kinds: Sequence[Kind], apps: dict[str, App], arguments: argparse.Namespace) -> list[Row]:
    """Ask the servers in turn, round after round; then try each, started anew, with bad clients and bad luck."""
    rows = {kind.name: Row(kind.name, apps[kind.interface].name) for kind in kinds}
    with ExitStack() as stack:
        running = []
        for place, kind in enumerate(kinds):
            try:
                server = _start(kind, apps[kind.interface], arguments.port + place, stack)
            except RuntimeError as error:
                rows[kind.name].failed = str(error).splitlines()[0]
            else:
                running.append((kind, server, arguments.port + place))
        for number in range(arguments.rounds):
            for connections in CONNECTIONS:
                for kind, server, port in rotated(running, number):
                    plan = Plan(connections, arguments.seconds, WARM_S)
                    _ask(rows[kind.name], apps[kind.interface], server, port, plan)
    for kind, _, port in running:
        _try(rows[kind.name], kind, apps[kind.interface], port, arguments.rounds)
    return list(rows.values())


def _start(kind: Kind, app: App, port: int, stack: ExitStack) -> Server:
    """Start a server in the environment that holds them all; ours stands behind, for an application of ours."""
    here = environments.python("servers").parent
    own = environment()
    theirs = [] if app.folder == ROOT else [get_path("purelib")]
    search = os.pathsep.join([str(SERVICES), str(ROOT / "src"), str(ROOT), *theirs])
    variables = own | {"PATH": f"{here}{os.pathsep}{own['PATH']}", "PYTHONPATH": search, "BENCH_APP": app.target}
    program, *words = kind.command(port)
    server = Server([str(here / program), *words], app.folder, variables, STATE / "logs" / f"server-{kind.name}.log")
    stack.callback(server.stop)
    server.until(lambda: load.ask(("127.0.0.1", port), app.request).status == 200)
    return server


def _ask(row: Row, app: App, server: Server, port: int, plan: Plan) -> None:
    marks = list[float]()
    seen = Driver(("127.0.0.1", port), [app.request], plan).run(lambda: marks.append(server.cpu_s()))
    counted = seen.counted
    row.per_second.setdefault(plan.connections, []).append(len(counted) / seen.elapsed_s)
    row.latencies_ms.setdefault(plan.connections, []).extend(1000 * answer.latency_s for answer in counted)
    row.cpu_us.setdefault(plan.connections, []).append(1e6 * (marks[1] - marks[0]) / max(1, len(counted)))
    row.bad += app.bad(seen)


def _try(row: Row, kind: Kind, app: App, port: int, stops: int) -> None:
    """Try what a server should stand, each time started anew."""
    address = ("127.0.0.1", port)
    with ExitStack() as stack:
        _start(kind, app, port, stack)
        row.good_answered = server_faults.good_answered(address, app.request, app.path)
    with ExitStack() as stack:
        row.replaced_s = server_faults.replaced_s(_start(kind, app, port, stack), address, app.request)
    for _ in range(stops):
        with ExitStack() as stack:
            answered, lost = server_faults.stopped(_start(kind, app, port, stack), address, app.request)
            row.answered_on_stop += answered
            row.lost_on_stop += lost


def summary(row: Row) -> dict[str, object]:
    """Return a row with medians over the rounds in place of what they are made of."""
    made = asdict(row) | {"per_second": {count: round(median(all_)) for count, all_ in row.per_second.items()}}
    made["cpu_us"] = {count: round(median(all_), 1) for count, all_ in row.cpu_us.items()}
    del made["latencies_ms"]
    made["p99_ms"] = {count: round(percentile(all_, 0.99), 2) for count, all_ in row.latencies_ms.items()}
    return made


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = ["application", "server", *(f"{count} conn.: {what}" for count in CONNECTIONS for what in MEASURES)]
    head += [f"answered beside {server_faults.HALF_SENT} half-sent", "lost on SIGTERM", "worker back after"]
    lines = [head, ["---"] * len(head), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row) -> list[str]:
    if row.failed:
        return [row.app, row.server, f"did not start: {row.failed}"]
    speed = []
    for count in CONNECTIONS:
        p99_ms, cpu_us = percentile(row.latencies_ms[count], 0.99), median(row.cpu_us[count])
        speed += [f"{median(row.per_second[count]):,.0f}", f"{p99_ms:.2f}", f"{cpu_us:.0f}"]
    back = f"{row.replaced_s:.1f} s" if row.replaced_s is not None else "never"
    lost = f"{row.lost_on_stop} of {row.lost_on_stop + row.answered_on_stop:,}"
    return [row.app, row.server, *speed, f"{row.good_answered} of {server_faults.GOOD}", lost, back]


MEASURES = ("req/s", "p99 ms", "CPU us")
INTERFACES = ("wsgi", "asgi", "rsgi")

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
