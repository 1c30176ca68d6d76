import os
import subprocess
import sys

import pytest

from lockstep.errors import AlreadyRunning
from lockstep.runtime import file_lock

HOLD = """
import sys
from pathlib import Path
from lockstep.runtime import file_lock
with file_lock.exclusive(Path(sys.argv[1]), "training", "wait"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_who_holds_a_lock_is_named(tmp_path, other):
    name = rf"process {other.pid} on {os.uname().nodename}, since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$"
    for _ in range(2):  # the loser leaves the name in the file
        with (
            pytest.raises(AlreadyRunning, match=f"training runs already: {name}"),
            file_lock.exclusive(tmp_path / "lock", "training", "wait"),
        ):
            pass


def test_a_lock_of_a_killed_process_is_free(tmp_path, other):
    other.kill()
    other.wait()
    with file_lock.exclusive(tmp_path / "lock", "training", "wait"):
        assert file_lock.holder(tmp_path / "lock").startswith(f"process {os.getpid()} on ")
        assert file_lock.try_lock(tmp_path / "lock") is None
    os.close(file_lock.try_lock(tmp_path / "lock"))


def test_a_lock_for_another_subject_and_no_lock_have_no_holder(tmp_path):
    file = file_lock.try_lock(tmp_path / "lock", os.O_CREAT)
    file_lock.write_holder(file, "port 5000")
    assert file_lock.holder(tmp_path / "lock", "port 5000")
    assert not file_lock.holder(tmp_path / "lock", "port 5001")
    assert not file_lock.holder(tmp_path / "none")
    os.close(file)
