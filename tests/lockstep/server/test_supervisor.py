import signal
import subprocess
import sys
import threading
import time

import pytest

from lockstep import processes
from lockstep.server import supervisor
from lockstep.server.supervisor import HelperProcess, Life, Workers
from tests.serving.real import wait_for


class Worker:
    """A process that is said to be dead or alive."""

    def __init__(self, idx, exitcode=None):
        self.idx, self.inner, self.killed = idx, self, 0
        self.exitcode = exitcode

    def is_alive(self):
        return self.exitcode is None

    def kill(self):
        self.killed += 1

    def start(self):
        self.exitcode = None


@pytest.fixture
def master(monkeypatch):
    """A master whose workers are stand-ins."""
    made = Workers(1.0, target="no:app", workers=2)
    made.wrks = [Worker(0), Worker(1)]
    made._lives = {place: Life(time.monotonic()) for place in (0, 1)}
    monkeypatch.setattr(made, "_spawn_worker", lambda idx, **_: Worker(idx, -9))
    return made


def die(master, place, code):
    master.wrks[place].exitcode = code
    master.interrupt_children.append(place)
    master._note_deaths()
    return max(0.0, master._due[place] - time.monotonic())


def test_the_first_death_is_made_good_at_once_and_no_later_one_after_five_seconds(master):
    pauses = []
    for _ in range(8):
        pauses.append(round(die(master, 0, -9)))
        master._due[0] = 0.0
        master._replace(None, None)
        assert master.wrks[0].is_alive()
    assert pauses == [0, 1, 2, 4, 4, 4, 4, 4]
    assert not master.failed


def test_a_worker_that_had_settled_is_replaced_at_once(master):
    for _ in range(3):
        die(master, 0, -9)
    master._lives[0].born -= supervisor.SETTLED_S + 1
    assert die(master, 0, -9) == 0


@pytest.mark.parametrize(("code", "other_serves", "failed"), [(1, False, True), (1, True, False), (-9, False, False)])
def test_workers_that_cannot_start_are_given_up_unless_one_serves(master, code, other_serves, failed):
    if other_serves:
        master._lives[1].born -= supervisor.SETTLED_S + 1
    for _ in range(supervisor.MOST_FAILURES + 1):
        die(master, 0, code)
    assert master.failed is failed


def test_wrong_settings_are_given_up_at_once(master):
    die(master, 0, processes.WRONG_SETTINGS)
    assert master.failed


@pytest.mark.parametrize(
    ("signals", "haste", "killed"),
    [
        ([signal.SIGTERM], 1, 0),
        ([signal.SIGTERM, signal.SIGINT], 2, 0),
        ([signal.SIGTERM, signal.SIGTERM, signal.SIGTERM], 3, 1),
        ([signal.SIGINT], 2, 0),
        ([signal.SIGHUP], 2, 0),
        ([signal.SIGINT, signal.SIGINT], 3, 1),
    ],
)
def test_each_signal_adds_haste(master, signals, haste, killed):
    for number in signals:
        master.signal_handler_interrupt(number, None)
    assert (master._haste, master.wrks[0].killed, master.interrupt_signal) == (haste, killed, True)


def test_a_helper_process_is_started_again_until_it_is_stopped():
    helper = HelperProcess("registry", lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
    first = helper.process
    first.kill()
    wait_for(lambda: helper.process is not first, 5)
    helper.stop()
    assert helper.process.wait(5) == -signal.SIGTERM
    time.sleep(0.1)
    assert helper.process.poll() is not None


def test_no_worker_is_forked_while_another_process_is_started(master):
    """It would keep the pipe open at which the start of that process is waited for."""
    starting, go = threading.Event(), threading.Event()

    def start():
        if made:
            starting.set()
            go.wait(10)
        made.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return made[-1]

    made = []
    helper = HelperProcess("recorder", start)
    helper.process.kill()
    assert starting.wait(10)
    die(master, 0, -9)
    replacing = threading.Thread(target=master._replace, args=(None, None))
    replacing.start()
    replacing.join(0.3)
    assert not master.wrks[0].is_alive()
    go.set()
    replacing.join(10)
    assert master.wrks[0].is_alive()
    helper.stop(5)


def test_signals_that_come_while_the_master_handles_one_do_not_block_it(master):
    """As where make hands on a signal that the whole process group has got."""

    def interrupted():
        with master.main_loop_interrupt._cond:
            master.signal_handler_interrupt(signal.SIGTERM, None)

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert master.interrupt_signal
