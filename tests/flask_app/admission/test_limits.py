import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_app.admission import limits
from flask_app.admission.limits import ConcurrencyLimiter, Overloaded, Rate, RateLimit, RateLimited, address
from lockstep.errors import ConfigError

RATES = [
    ("", None),
    ("  ", None),
    ("100/s", Rate(100, 1)),
    (" 6 / m ", Rate(6, 60)),
    ("5000/h", Rate(5000, 3600)),
    ("9/minute", Rate(9, 60)),
]


@pytest.mark.parametrize(("text", "rate"), RATES)
def test_rates(text, rate):
    assert Rate.parse(text) == rate


@pytest.mark.parametrize("text", ["100", "0/s", "-1/s", "1.5/s", "100/d", "1/s;2/m", "/s", "١/s"])
def test_what_is_no_rate(text):
    with pytest.raises(ConfigError, match="is not a rate"):
        Rate.parse(text)


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that stands still."""
    moment = [1000.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def limit(tmp_path):
    return RateLimit(Rate(10, 1), tmp_path)


def admitted(limit, client, attempts):
    return sum(limit.allow(client) == 0 for _ in range(attempts))


def test_a_burst_then_an_even_flow(limit, clock):
    assert admitted(limit, "a", 30) == 10
    assert limit.allow("a") == pytest.approx(0.1, abs=1e-3)
    clock[0] += 0.05
    assert limit.allow("a") == pytest.approx(0.05, abs=1e-3)
    clock[0] += 0.051
    assert admitted(limit, "a", 5) == 1
    clock[0] += 0.5
    assert admitted(limit, "a", 30) == 5
    clock[0] += 60
    assert admitted(limit, "a", 30) == 10


def test_clients_do_not_share(limit, clock):
    assert admitted(limit, "a", 20) == admitted(limit, "b", 20) == admitted(limit, "\udc80", 20) == 10


@pytest.mark.parametrize("requests", [1, 3, 7, 49, 1000])
def test_exactly_as_many_as_said(tmp_path, clock, requests):
    assert admitted(RateLimit(Rate(requests, 60), tmp_path), "a", 2 * requests) == requests


def test_what_an_earlier_boot_or_another_rate_left_counts_for_nothing(tmp_path, clock):
    clock[0] = 9_000_000.0
    assert admitted(RateLimit(Rate(10, 3600), tmp_path), "a", 20) == 10
    assert admitted(RateLimit(Rate(10, 1), tmp_path), "a", 20) == 10
    clock[0] = 5.0
    assert admitted(RateLimit(Rate(10, 3600), tmp_path), "a", 20) == 10


def test_threads_together_get_what_one_would(tmp_path):
    """In a period so long that no request comes back while they run."""
    limit = RateLimit(Rate(500, 10**6), tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: admitted(limit, "a", 200), range(8))) == 500


PROCESS = """
import sys
from pathlib import Path
from flask_app.admission.limits import Rate, RateLimit
limit = RateLimit(Rate(2000, 10**6), Path(sys.argv[1]))
sys.stdin.readline()
print(sum(limit.allow("a") == 0 for _ in range(1500)))
"""


def test_processes_together_get_what_one_would(tmp_path):
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    processes = [subprocess.Popen(command, env=environment, **piped) for _ in range(3)]
    counts = [int(process.communicate("go\n", timeout=60)[0]) for process in processes]
    assert sum(counts) == 2000


def test_a_process_that_dies_with_the_lock_blocks_nobody(tmp_path):
    limit = RateLimit(Rate(5, 3600), tmp_path)
    place = limits.SALT_BYTES + limit._place("a") * limits.SLOT_BYTES
    hold = (
        "import fcntl, os, sys; file = os.open(sys.argv[1], os.O_RDWR);"
        "fcntl.lockf(file, fcntl.LOCK_EX, 8, int(sys.argv[2])); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / limits.FILE), str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"held\n"
    waits = []
    asking = threading.Thread(target=lambda: waits.append(limit.allow("a")))
    asking.start()
    time.sleep(0.1)
    assert waits == []
    holder.kill()
    holder.communicate()
    asking.join(5)
    assert waits == [0.0]


def test_a_file_of_another_size_is_made_anew(tmp_path):
    (tmp_path / limits.FILE).write_bytes(b"x")
    assert RateLimit(Rate(5, 1), tmp_path).allow("a") == 0
    assert [path.name for path in tmp_path.iterdir()] == [limits.FILE]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept"):
        RateLimit(Rate(5, 1), tmp_path / "file")


def test_the_refusal_says_when_to_come_back(limit, clock):
    for _ in range(10):
        limit.check("a")
    with pytest.raises(RateLimited) as refused:
        limit.check("a")
    headers = dict(refused.value.get_headers())
    assert headers["Retry-After"] == "1"
    assert headers["RateLimit-Policy"] == '"client";q=10;w=1'
    assert headers["RateLimit"] == '"client";r=0;t=1'


ADDRESSES = {
    "direct": (0, "10.0.0.9", "", "10.0.0.9"),
    "spoofed, no proxy trusted": (0, "10.0.0.9", "1.2.3.4", "10.0.0.9"),
    "one proxy": (1, "10.0.0.9", "1.2.3.4", "1.2.3.4"),
    "one proxy, spoofed": (1, "10.0.0.9", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
    "two proxies": (2, "10.0.0.9", "6.6.6.6, 1.2.3.4, 10.0.0.8", "1.2.3.4"),
    "fewer entries than proxies": (2, "10.0.0.9", "1.2.3.4", "10.0.0.9"),
    "nonsense": (1, "10.0.0.9", "<script>", "10.0.0.9"),
    "none": (1, "10.0.0.9", "", "10.0.0.9"),
    "with a port": (1, "10.0.0.9", "1.2.3.4:5678", "1.2.3.4"),
    "version 6": (1, "10.0.0.9", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    "version 6 of the same customer": (1, "10.0.0.9", "[2001:db8:1:2:ffff::1]:443", "2001:db8:1:2::/64"),
    "version 6, direct": (0, "2001:db8:1:2::1%eth0", "", "2001:db8:1:2::/64"),
    "version 4 in 6": (0, "::ffff:1.2.3.4", "", "1.2.3.4"),
    "a socket": (0, "", "", ""),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_S17_whose_address_counts(case):
    hops, direct, told, expected = ADDRESSES[case]
    assert address({"REMOTE_ADDR": direct, "HTTP_X_FORWARDED_FOR": told}, hops) == expected


def test_room_for_so_many_and_no_more():
    limiter = ConcurrencyLimiter(2, 1)
    limiter.acquire()
    limiter.acquire()
    with pytest.raises(Overloaded) as refused:
        limiter.acquire()
    assert dict(refused.value.get_headers())["Retry-After"] == "1"
    limiter.release()
    limiter.acquire()


def in_thread(act):
    caught = []

    def run():
        try:
            act()
        except Overloaded as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    return caught


def test_heavy_work_waits_for_its_turn_and_not_for_ever():
    limiter = ConcurrencyLimiter(2, queue_s=0.05, large=1)
    with limiter.large_request(), limiter.large_request():
        started = time.monotonic()
        (refused,) = in_thread(limiter.acquire_permit)
        assert time.monotonic() - started >= 0.05
        assert dict(refused.get_headers())["Retry-After"] == "1"
    assert in_thread(lambda: limiter.large_request().__enter__()) == []


def test_only_so_many_wait():
    limiter = ConcurrencyLimiter(9, queue_s=30, large=1, waiting=1)
    with limiter.large_request():
        waiting = threading.Thread(target=lambda: (limiter.acquire_permit(), limiter.release_permit()))
        waiting.start()
        while limiter._waiting_slots:
            time.sleep(0.001)
        started = time.monotonic()
        assert len(in_thread(limiter.acquire_permit)) == 1
        assert time.monotonic() - started < 5
    waiting.join(10)
    with limiter.large_request():
        limiter.release_permit()
        limiter.release_permit()
    assert limiter._permits.qsize() == 1


@pytest.mark.parametrize(
    ("rows", "size", "heavy"), [(1, 10, False), (200, 100_000, False), (201, 0, True), (0, 100_001, True)]
)
def test_what_is_heavy(rows, size, heavy):
    assert limits.is_large(rows, size) is heavy
