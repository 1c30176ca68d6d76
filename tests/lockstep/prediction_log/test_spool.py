import errno
import os
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from lockstep.prediction_log import spool
from lockstep.prediction_log.records import Lost
from lockstep.prediction_log.spool import SpoolReader, Writer
from tests.lockstep.logged_answers import answer, label

ROOM = 1 << 30


@pytest.fixture
def torn():
    return []


@pytest.fixture
def reader(tmp_path, torn):
    return SpoolReader(tmp_path, lambda path, line: torn.append(line))


@pytest.fixture
def writer(tmp_path):
    made = Writer(tmp_path, ROOM)
    yield made
    made.close()


def taken(reader):
    """Read all there is, dealing with it."""
    found = []
    while (batch := reader.read()).records:
        found += batch.records
        reader.done(batch)
    reader.done(batch)
    return found


def test_nothing_is_opened_before_something_is_written(tmp_path):
    Writer(tmp_path / "spool", ROOM).close()
    assert not (tmp_path / "spool").exists()
    assert SpoolReader(tmp_path / "spool", print).read().records == []


def test_what_is_written_is_read_once_and_a_file_goes_when_its_writer_has(writer, reader, tmp_path):
    records = [answer("a", rows=None), label("a", 3), Lost(1, "x", 2)]
    for record in records:
        writer.write(record)
    assert taken(reader) == records
    assert len(list(tmp_path.iterdir())) == 1
    writer.write(answer("b"))
    assert [one.ids for one in taken(reader)] == [["b"]]
    assert reader.unread() == (1, 0)
    writer.close()
    assert taken(reader) == []
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_is_not_dealt_with_comes_again(writer, reader):
    writer.write(answer("a"))
    assert reader.read() == reader.read()
    writer.close()
    assert len(reader.read().records) == 1


def test_a_reader_that_starts_anew_reads_a_file_from_its_begin(writer, reader, tmp_path):
    writer.write(answer("a"))
    assert len(taken(reader)) == 1
    assert len(taken(SpoolReader(tmp_path, print))) == 1


def test_files_are_of_bounded_size_and_age(writer, reader, tmp_path, monkeypatch):
    for at in range(9000):
        writer.write(answer(f"id {at}"))
    sizes = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert len(sizes) > 1
    assert spool.MOST_BYTES <= sizes[-1] < spool.MOST_BYTES + 1000
    assert [one.ids[0] for one in taken(reader)] == [f"id {at}" for at in range(9000)]
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(spool, "OLDEST_S", -1.0)
    writer.write(answer("last"))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_batch_is_bounded_but_never_less_than_a_line(writer, reader):
    writer.write(answer(*(f"id {at}" for at in range(50_000))))
    writer.write(answer("b"))
    batch = reader.read(100)
    assert [len(one.ids) for one in batch.records] == [50_000]
    reader.done(batch)
    assert [one.ids for one in taken(reader)] == [["b"]]


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_torn_line_hides_nothing(writer, reader, torn, tmp_path, cut):
    writer.write(answer("a"))
    writer.close()
    (path,) = tmp_path.iterdir()
    line = spool.line_of(answer("b"))
    path.write_bytes(path.read_bytes() + line[:-cut])
    writer.write(answer("c"))
    assert [one.ids[0] for one in taken(reader)] == (["a", "b", "c"] if cut == 1 else ["a", "c"])
    assert torn == ([] if cut == 1 else [line[:-cut]])


def test_a_line_that_is_no_record_is_set_aside(reader, torn, tmp_path):
    good = spool.line_of(answer("a"))
    wrong = [b"{", b'{"type": "other"}', b"\xff\xfe", b'{"type":"label","at_us":"x"}']
    (tmp_path / f"1{spool.SUFFIX}").write_bytes(good + b"\n".join(wrong) + b"\n\n" + good)
    assert len(taken(reader)) == 2
    assert torn == wrong


def test_a_file_is_not_seen_before_it_is_locked(tmp_path, reader, monkeypatch):
    seen = []
    real = spool.fcntl.flock

    def flock(file, how):
        seen.append(reader.files())
        real(file, how)

    monkeypatch.setattr(spool.fcntl, "flock", flock)
    Writer(tmp_path, ROOM).write(answer("a"))
    assert seen == [[]]


class Disk:
    """A disk with so many bytes of room, behind `os.write`."""

    def __init__(self, monkeypatch):
        self.room, self.fault, self._write = ROOM, errno.ENOSPC, os.write
        monkeypatch.setattr(spool.os, "write", self.write)

    def write(self, file, content):
        if self.room <= 0:
            raise OSError(self.fault, "no")
        written = self._write(file, content[: self.room])
        self.room -= written
        return written


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.mark.parametrize("room", [0, 1, 250])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_c22_what_finds_no_room_waits_and_is_written_whole_in_order(disk, writer, reader, torn, room, fault):
    disk.room, disk.fault = room, fault
    for at in range(20):
        writer.write(answer(f"id {at}"))
    assert writer.waiting() >= 17
    disk.room = ROOM
    found = []
    began = time.monotonic()
    while len(found) < 20 and time.monotonic() - began < 3:  # with nothing more being written
        found += [one.ids[0] for one in taken(reader)]
        time.sleep(0.05)
    assert found == [f"id {at}" for at in range(20)]
    assert (torn, writer.waiting()) == ([], 0)


def test_c22_what_waits_in_memory_is_bounded_and_the_loss_counted(tmp_path, disk, reader, monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 5000)
    lost = []
    writer = Writer(tmp_path, ROOM, lost.append)
    disk.room = 0
    for at in range(100):
        writer.write(answer(f"id {at}", f"and {at}"))
    kept = writer.waiting()
    assert 10 < kept < 40
    assert sum(lost) == 2 * (100 - kept)
    disk.room = ROOM
    writer.close()
    found = taken(reader)
    assert [one.ids[0] for one in found[:-1]] == [f"id {at}" for at in range(kept)]
    assert found[-1].count == sum(lost)


@pytest.mark.parametrize("check_s", [0.0, 3600.0])
def test_the_lines_of_a_removed_file_are_written_anew(writer, reader, tmp_path, monkeypatch, check_s):
    """At once where it is time to check, and at the end at the latest."""
    monkeypatch.setattr(spool, "CHECK_S", check_s)
    writer.write(answer("a"))
    taken(reader)
    writer.write(answer("b"))
    next(tmp_path.glob("*.jsonl")).unlink()
    writer.write(answer("c"))
    if check_s:
        assert list(tmp_path.iterdir()) == []
        writer.close()
    assert [record.ids for record in taken(SpoolReader(tmp_path, print))] == [["a"], ["b"], ["c"]]


def test_what_a_full_disk_leaves_in_memory_at_the_end_is_counted_as_lost(tmp_path, disk, caplog):
    lost = []
    writer = Writer(tmp_path, ROOM, lost.append)
    disk.room = 10
    for at in range(3):
        writer.write(answer(f"id {at}", f"and {at}"))
    writer.close()
    assert sum(lost) == 4  # of the first line, a part is on the disk
    assert "4 predictions are lost" in caplog.text


def test_the_spool_is_bounded(tmp_path, reader):
    lost = []
    writer = Writer(tmp_path, 1000, lost.append)
    for at in range(8000):
        writer.write(answer(f"id {at}"))
    assert spool.folder_bytes(tmp_path) <= 1000 + spool.MOST_BYTES + 1000
    assert writer.waiting() > 0
    first = taken(reader)
    writer.close()
    assert len(first) + len(taken(reader)) == 8000
    assert lost == []


def test_what_is_no_text_is_written_readably(writer, reader):
    writer.write(answer("a", rows=[["\ud800x", 1.0]], key="\udc00"))
    (found,) = taken(reader)
    assert (found.rows, found.key) == ([["?x", 1.0]], "?")


def test_threads_share_a_writer(writer, reader, monkeypatch):
    monkeypatch.setattr(spool, "MOST_BYTES", 20_000)

    def act(name):
        for at in range(500):
            writer.write(answer(f"{name} {at}"))

    threads = [threading.Thread(target=act, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.ids[0] for one in taken(reader)}) == 2000


def test_c01_what_a_killed_process_has_written_is_there(tmp_path, reader):
    code = (
        "import sys; from pathlib import Path; from lockstep.prediction_log.spool import Writer\n"
        "from tests.lockstep.logged_answers import answer\n"
        "writer, at = Writer(Path(sys.argv[1]), 1 << 30), 0\n"
        "while True:\n"
        "    writer.write(answer(f'{at}')); print(at, flush=True); at += 1\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    told = [process.stdout.readline() for _ in range(2000)]
    process.send_signal(signal.SIGKILL)
    told += process.communicate()[0].splitlines()
    found = [int(one.ids[0]) for one in taken(reader)]
    assert len(found) >= 1000
    assert found == list(range(len(found)))
    assert 0 <= len(found) - len([line for line in told if line.strip().isdigit()]) <= 1
    assert reader.files() == []


def test_a_record_costs_little(writer):
    record = answer("a" * 32, rows=[[1.2345] * 30])
    writer.write(record)
    began = time.perf_counter()
    for _ in range(2000):
        writer.write(record)
    assert (time.perf_counter() - began) / 2000 < 100e-6  # about 3 us on a quiet machine


def test_lines_are_what_json_says():
    assert msgspec.json.decode(spool.line_of(answer("a")))["type"] == "answer"
