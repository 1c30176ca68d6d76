"""How many requests fail at each fault: measured, within limits, and in the table of docs/measurements/faults.md."""

import math
import os
import time

import pytest

from scripts.drift_figures import fill, table
from tests.life.served import LASTING, MOMENTS
from tests.root import ROOT

PAGE = ROOT / "docs" / "measurements" / "faults.md"
HEAD = ("fault", "requests", "failed", "longest time without an answer", "cause")
LASTS_S = 10.0
LIMITS = {"worker_killed": 4, **dict.fromkeys(("server_killed", "server_restarted", "folder_moved"), math.inf)}
"""Failed requests of two clients at most, 0 where nothing is said: without a server all fail."""


def measured(served, name):
    """Let a fault happen under traffic; return its row of the table and the number of failed requests."""
    traffic = served.traffic
    sent, failed, began = traffic.sent, traffic.failed.copy(), time.monotonic()
    served.begin(name)
    if name in LASTING:
        time.sleep(LASTS_S)
        served.end(name)
    served.answers()
    time.sleep(LASTS_S)
    causes = traffic.failed - failed
    row = (
        (MOMENTS | LASTING)[name],
        str(traffic.sent - sent),
        str(causes.total()),
        f"{traffic.longest_gap_s(began):.1f} s",
        ", ".join(sorted(causes)) or "-",
    )
    return row, causes.total()


@pytest.mark.long("does what the test with random faults does, one by one")
@pytest.mark.server
@pytest.mark.pipeline
def test_no_more_requests_fail_than_must(served):
    """FAULT_TABLE=1 writes the table."""
    absent = {"database_locked" if served.postgres else "database_stopped", "" if served.disk else "disk_full"}
    names = [name for name in MOMENTS | LASTING if name not in absent]
    with served.traffic:
        served.answers()
        measurements = {name: measured(served, name) for name in names}
        served.settle()
    if os.environ.get("FAULT_TABLE"):
        fill(PAGE, {"faults": table(HEAD, [row for row, _ in measurements.values()])})
    assert above_limit({name: failed for name, (_, failed) in measurements.items()}) == {}


def test_the_table_has_a_row_for_each_fault_with_no_more_failures_than_the_limits():
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert tuple(rows[0]) == HEAD
    names = {title: name for name, title in (MOMENTS | LASTING).items()}
    shown = {names[row[0]]: int(row[2]) for row in rows[2:]}
    assert set(names.values()) - shown.keys() == {"database_locked"}  # which needs a project without PostgreSQL
    assert above_limit(shown) == {}


def above_limit(failures):
    return {name: failed for name, failed in failures.items() if failed > LIMITS.get(name, 0)}
