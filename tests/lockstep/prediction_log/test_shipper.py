import sqlite3
import time

import pytest

from lockstep.errors import StoreError
from lockstep.prediction_log import spool
from lockstep.prediction_log.database import PredictionFilter, Store
from lockstep.prediction_log.shipper import REFUSED, Shipper
from lockstep.prediction_log.spool import Writer
from tests.lockstep.logged_answers import answer, find, label


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def writer(folder):
    made = Writer(folder, 1 << 30)
    yield made
    made.close()


@pytest.fixture
def shipper(folder, url):
    made = Shipper(folder, lambda: Store.open(url))
    yield made
    made.close()


def ids(shipper):
    return sorted(one.id for one in shipper.store().predictions(PredictionFilter(limit=10_000)))


def shipped(shipper):
    while shipper.ship():
        pass
    return ids(shipper)


def test_what_was_spooled_is_stored_and_the_files_go(shipper, writer, folder):
    for at in range(50):
        writer.write(answer(f"{at:02}"))
    writer.write(label("07"))
    writer.close()
    assert shipped(shipper) == [f"{at:02}" for at in range(50)]
    assert find(shipper.store(), "07").labelled
    assert list(folder.glob(f"*{spool.SUFFIX}")) == []
    assert shipper.state().reachable


def test_a_shipper_that_died_after_its_commit_stores_nothing_twice(shipper, writer, folder, url, monkeypatch):
    for at in range(50):
        writer.write(answer(f"{at:02}"))
    monkeypatch.setattr(shipper._reader, "done", lambda batch: None)  # killed between commit and removal
    shipper.ship()
    shipper.close()
    other = Shipper(folder, lambda: Store.open(url))
    assert shipped(other) == [f"{at:02}" for at in range(50)]
    assert sum(row.count for row in traffic(other)) == 50
    other.close()


def traffic(shipper):
    from sqlalchemy import select

    from lockstep.prediction_log.tables import TRAFFIC

    with shipper.store().reading() as link:
        return link.execute(select(TRAFFIC)).all()


def test_one_of_two_ships_and_the_other_takes_over(shipper, writer, folder, url):
    other = Shipper(folder, lambda: Store.open(url))
    writer.write(answer("a"))
    assert shipper.ship()
    writer.write(answer("b"))
    assert not other.ship()
    shipper.close()
    assert shipped(other) == ["a", "b"]
    other.close()


def test_a_record_that_the_database_refuses_is_set_aside(shipper, writer, folder):
    broken = answer("bad")
    broken.latency_us = 2**70
    for record in (answer("a"), answer("b"), broken, answer("c")):
        writer.write(record)
    assert shipped(shipper) == ["a", "b", "c"]
    assert b'"bad"' in (folder / REFUSED).read_bytes()
    assert shipper.state().reachable


def test_c18_a_database_that_is_away_leaves_all_in_place(folder, writer, tmp_path):
    at = [tmp_path / "no such folder" / "log.db"]
    at[0].parent.write_bytes(b"in the way")

    def opened():
        return Store.open(f"sqlite:///{at[0]}")

    shipper = Shipper(folder, opened)
    record = answer("a")
    record.at_us = time.time_ns() // 1000 - 5_000_000
    writer.write(record)
    for _ in range(3):
        with pytest.raises((StoreError, OSError)):
            shipper.ship()
    state = shipper.state()
    assert state.spool_files == 1
    assert state.spool_bytes > 0
    assert 4 < state.lag_s < 60
    at[0] = tmp_path / "log.db"
    assert shipped(shipper) == ["a"]
    assert (shipper.state().lag_s, shipper.state().spool_bytes, shipper.state().reachable) == (0, 0, True)
    shipper.close()


def test_c21_a_locked_database_is_waited_for(folder, writer, tmp_path, monkeypatch):
    monkeypatch.setitem(
        __import__("lockstep.prediction_log.engine", fromlist=["CONNECT"]).CONNECT, "sqlite", {"timeout": 0.2}
    )
    path = tmp_path / "log.db"
    shipper = Shipper(folder, lambda: Store.open(f"sqlite:///{path}"))
    shipper.store()
    writer.write(answer("a"))
    locking = sqlite3.connect(path)
    locking.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        shipper.ship()
    assert not shipper.state().reachable
    locking.rollback()
    locking.close()
    assert shipped(shipper) == ["a"]
    assert shipper.state().reachable
    shipper.close()


def test_files_that_were_never_opened_go(folder, url, tmp_path):
    import os

    folder.mkdir()
    old, new = folder / f"1{spool.SUFFIX}{spool.OPENING}", folder / f"2{spool.SUFFIX}{spool.OPENING}"
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))
    shipper = Shipper(folder, lambda: Store.open(url))
    shipper.ship()
    assert not old.exists()
    assert new.exists()
    shipper.close()
