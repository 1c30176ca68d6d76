"""Measurement rounds: all sides of a model are started, then loaded alternately, and every response is checked."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from benchmarks.serving import floor, load
from benchmarks.serving.environments import STATE
from benchmarks.serving.figures import BATCH, Sample, differs, rotated
from benchmarks.serving.load import Address, Driver, Load, Plan
from benchmarks.serving.models import BATCH_ROWS, Model
from benchmarks.serving.processes import Server
from benchmarks.serving.sides import FLOOR, Side

PORTS = 10
"""Ports kept for each side, since one of them listens on three."""

BATCH_CONNECTIONS = 4
WARM = Plan(connections=16, seconds=0.5, warm_s=0.2)


@dataclass(frozen=True)
class Settings:
    """How long and how hard to ask."""

    connections: tuple[int, ...]
    rounds: int
    seconds: float
    warm_s: float
    port: int

    @property
    def loads(self) -> list[str]:
        """The names of the loads: numbers of connections, then batches."""
        return [*map(str, self.connections), BATCH]


@dataclass(frozen=True)
class Start:
    """How a side came up, and what memory it held at the end; or why it did not come up."""

    model: str
    side: str
    first_answer_s: float = 0.0
    pss_mb: float = 0.0
    rss_mb: float = 0.0
    processes: int = 0
    failed: str = ""


@dataclass
class Running:
    """A side that serves a model."""

    side: Side
    model: Model
    address: Address
    server: Server
    first_answer_s: float = 0.0
    _turns: int = field(default=0, init=False)

    @cached_property
    def singles(self) -> list[bytes]:
        """One request for each row."""
        return [load.post(self.side.path, self.side.encode([row])) for row in self.model.rows]

    @cached_property
    def batches(self) -> list[bytes]:
        """One request for each 1,000 rows."""
        rows = self.model.rows
        starts = range(0, max(1, len(rows) - BATCH_ROWS + 1), BATCH_ROWS)
        return [load.post(self.side.path, self.side.encode(rows[start : start + BATCH_ROWS])) for start in starts]

    def answers(self) -> bool:
        """Return whether the first row is answered, and rightly."""
        answer = load.ask(self.address, load.post(self.side.path, self.side.encode(self.model.rows[:1])))
        return answer.status == 200 and not self.wrong(answer.request, answer.content, rows=1)

    def wrong(self, request: int, content: bytes, rows: int) -> bool:
        """Return whether an answer is not what the pipeline says of the rows that were asked."""
        if self.side.name == FLOOR:
            return content != floor.ANSWER
        try:
            predictions = self.side.read(content)
        except (ValueError, KeyError, TypeError):
            return True
        return differs(predictions, self.model.expected[request * rows : (request + 1) * rows])

    def ask(self, plan: Plan, rows: int) -> tuple[Load, float]:
        """Ask from where the last turn ended, and return what was seen and the server's processor time."""
        requests, marks = (self.singles if rows == 1 else self.batches), list[float]()
        driver = Driver(self.address, requests, plan, first=self._turns)
        responses = driver.run(lambda: marks.append(self.server.cpu_s()))
        self._turns += len(responses.answers)
        return responses, marks[1] - marks[0]


def measure(model: Model, sides: Sequence[Side], settings: Settings) -> tuple[list[Sample], list[Start]]:
    """Start every side, ask each in turn, and return the samples and how the sides came up."""
    with ExitStack() as stack:
        running, starts = [], []
        for place, side in enumerate(sides):
            started = _start(model, side, settings.port + PORTS * place, stack)
            if isinstance(started, Start):
                starts.append(started)
            else:
                running.append(started)
        for one in running:
            one.ask(WARM, rows=1)
        samples = list(_samples(running, settings))
        return samples, [*starts, *map(_held, running)]


def _start(model: Model, side: Side, port: int, stack: ExitStack) -> Running | Start:
    """Start one side and wait for its first right answer; what went wrong is part of the result."""
    launch = side.launch(model, port)
    log = STATE / "logs" / f"{model.case.name}-{side.name}.log"
    server = Server(launch.command, launch.folder, launch.variables, log)
    stack.callback(server.stop)
    running = Running(side, model, ("127.0.0.1", port), server)
    try:
        running.first_answer_s = server.until(running.answers)
    except RuntimeError as error:
        _say(f"{model.case.name}, {side.title}: {error}")
        return Start(model.case.name, side.name, failed=str(error).partition(":")[0])
    _say(f"{model.case.name}, {side.title}: first answer after {running.first_answer_s:.1f} s")
    return running


def _held(running: Running) -> Start:
    held = running.server.memory()
    came = (running.model.case.name, running.side.name, round(running.first_answer_s, 2))
    return Start(*came, held.pss_mb, held.rss_mb, held.processes)


def _samples(running: Sequence[Running], settings: Settings) -> Iterator[Sample]:
    """Yield a sample of every side under every load, round after round, each round from another side on."""
    for number in range(settings.rounds):
        for name in settings.loads:
            for one in rotated(running, number):
                if name == BATCH and one.side.name == FLOOR:
                    continue
                yield _sample(one, name, number, settings)
        _say(f"{running[0].model.case.name}: round {number + 1} of {settings.rounds} done" if running else "none ran")


def _sample(one: Running, name: str, number: int, settings: Settings) -> Sample:
    if name == BATCH:
        plan, rows = Plan(BATCH_CONNECTIONS, count=one.model.case.batches), BATCH_ROWS
    else:
        plan, rows = Plan(int(name), settings.seconds, settings.warm_s), 1
    responses, cpu_s = one.ask(plan, rows)
    counted = responses.counted
    return Sample(
        *(
            one.model.case.name,
            one.side.name,
            name,
            number,
            len(counted),
            responses.elapsed_s,
            cpu_s,
            responses.client_cpu_s,
        ),
        wrong=_wrong(one, responses, rows),
        refused=sum(answer.status != 200 for answer in responses.answers),
        lost=responses.lost,
        latencies_ms=tuple(1000 * answer.latency_s for answer in counted),
    )


def _wrong(one: Running, responses: Load, rows: int) -> int:
    """Count the answers that came with 200 but are not the pipeline's; equal answers to one request are read once."""
    counts = Counter((answer.request, answer.content) for answer in responses.answers if answer.status == 200)
    return sum(times for (request, content), times in counts.items() if one.wrong(request, content, rows))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
