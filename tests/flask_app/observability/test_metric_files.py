import resource
import shutil
import subprocess
import sys

import pytest
from prometheus_client.mmap_dict import MmapedDict

from flask_app.observability import metric_files
from flask_app.observability.metric_files import MetricFile

MANY = [f"key {number} {'x' * 200}" for number in range(1000)]
"""More than the first 64 KiB hold."""


@pytest.fixture
def name(tmp_path, monkeypatch):
    monkeypatch.setattr(metric_files, "CHECK_S", 0.0)
    return str(tmp_path / "made" / "counter_1.db")


def content(name):
    return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(name)}


def test_values_are_in_the_file_as_prometheus_client_reads_it(name):
    file = MetricFile(name)
    for number, key in enumerate([*MANY, "a", "ü" * 100]):
        file.write_value(key, number, 0.0)
    assert content(name) == {key: number for number, key in enumerate([*MANY, "a", "ü" * 100])}
    assert file.read_value(MANY[7]) == (7.0, 0.0)
    file.close()


def test_a_process_of_the_same_number_goes_on(name):
    first = MetricFile(name)
    for key in MANY:
        first.write_value(key, 1.0, 0.0)
    first.close()
    second = MetricFile(name)
    assert second.read_value(MANY[999]) == (1.0, 0.0)
    second.write_value("more", 2.0, 0.0)
    assert len(content(name)) == 1001
    second.close()


def test_a_file_that_is_removed_is_made_again_with_all_values(name, tmp_path):
    file = MetricFile(name)
    file.write_value("a", 1.0, 0.0)
    shutil.rmtree(tmp_path / "made")
    file.write_value("b", 2.0, 0.0)
    assert content(name) == {"a": 1.0, "b": 2.0}
    file.close()


def test_a_folder_that_cannot_be_made_costs_nothing_but_the_sharing(name, tmp_path, caplog):
    (tmp_path / "made").write_text("")
    file = MetricFile(name)
    for number, key in enumerate(MANY):
        file.write_value(key, number, 0.0)
    (tmp_path / "made").unlink()
    file.write_value("last", 1.0, 0.0)
    assert content(name) == {key: number for number, key in enumerate(MANY)} | {"last": 1.0}
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == ["WARNING"]
    file.close()


@pytest.mark.parametrize("room", [0, 100_000])
def test_a_disk_without_room_costs_nothing_but_the_sharing(name, room, caplog):
    """The limit on the size of a file stands for the end of the disk: before the first byte, and while it grows."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        file = MetricFile(name)
        for number, key in enumerate(MANY):
            file.write_value(key, number, 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    file.write_value(MANY[0], 7.0, 0.0)
    assert content(name) == {key: number or 7 for number, key in enumerate(MANY)}
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == ["WARNING"]
    file.close()


def test_prometheus_client_uses_the_files():
    code = (
        "import os, sys; os.environ['PROMETHEUS_MULTIPROC_DIR'] = sys.argv[1]\n"
        "from flask_app.observability.metric_files import MetricFile\n"
        "from lockstep import compat; compat.replace_metric_files(MetricFile)\n"
        "from prometheus_client import Counter, CollectorRegistry\n"
        "counter = Counter('a', 'b', registry=CollectorRegistry()); counter.inc()\n"
        "print(type(counter._value._file).__name__)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code, "/dev/null/x"], capture_output=True, text=True, timeout=60)
    assert printed.stdout == "MetricFile\n", printed.stderr
