import hashlib
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from lockstep import files


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "rows.csv"
    with files.atomic(path) as partial:
        assert (partial.parent, partial.suffix) == (path.parent, ".csv")
        partial.write_text("whole", encoding="utf-8")
        assert not path.exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.csv"]
    assert path.read_text(encoding="utf-8") == "whole"


def test_a_failing_write_leaves_the_old_file_and_no_part(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError, match="in mid-write"), files.atomic(path) as partial:
        partial.write_text("half", encoding="utf-8")
        raise RuntimeError("in mid-write")
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.csv"]
    assert path.read_text(encoding="utf-8") == "old"


def test_a_killed_write_leaves_the_old_file_and_the_next_run_mends_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old", encoding="utf-8")
    code = (
        "import os, pathlib, sys\nfrom lockstep import files\n"
        "with files.atomic(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env={"PYTHONPATH": os.pathsep.join(sys.path)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 2
    files.write_bytes(b"new", path)
    assert [(entry.name, entry.read_text(encoding="utf-8")) for entry in tmp_path.iterdir()] == [("rows.csv", "new")]


def test_json_is_sorted_and_ends_with_a_newline(tmp_path):
    path = tmp_path / "facts.json"
    files.write_json({"b": [1, 2.5], "a": "é"}, path)
    assert path.read_bytes() == '{\n  "a": "é",\n  "b": [\n    1,\n    2.5\n  ]\n}\n'.encode()
    assert files.read_json(path) == {"a": "é", "b": [1, 2.5]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_nan_or_infinity(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json({"a": value}, tmp_path / "facts.json")
    assert not list(tmp_path.iterdir())


def test_csv_floats_read_back_the_same(tmp_path):
    path = tmp_path / "rows.csv"
    table = pd.DataFrame({"x": [0.1, 1 / 3, 1e-300, 2.0], "name": ["a,b", 'c"d', "e\nf", "é"]})
    files.write_csv(table, path)
    assert path.read_bytes() == 'x,name\n0.1,"a,b"\n0.3333333333333333,"c""d"\n1e-300,"e\nf"\n2.0,é\n'.encode()
    pd.testing.assert_frame_equal(pd.read_csv(path), table, check_exact=True)


def test_digests_are_those_of_the_content(tmp_path):
    content = b"lockstep" * 100_000
    path = tmp_path / "content"
    files.write_bytes(content, path)
    assert files.sha256(path) == files.sha256_bytes(content) == hashlib.sha256(content).hexdigest()
