import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep import errors
from lockstep.runtime.release import VERSION
from lockstep.stage import check_release, guarded
from tests.root import EXAMPLE, ROOT

OUTPUTS = ("data/raw/contract.json", "data/raw/data.parquet", "data/raw/source.json", "data/raw/test.parquet")
CLEAN = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}


def raising(error):
    def work():
        raise error

    return work


def not_found():
    Path("/no/such/rows.csv").read_bytes()


FAULTS = {
    "own": (
        raising(errors.DataError("rows.csv is\nempty", "fetch it\tagain")),
        1,
        "the_stage: rows.csv is empty\n  hint: fetch it again\n",
    ),
    "question": (
        raising(errors.QuestionError("which column?", "say --target")),
        2,
        "the_stage: which column?\n  hint: say --target\n",
    ),
    "without-a-hint": (raising(errors.DataError("too low")), 1, "the_stage: too low\n"),
    "missing-file": (
        not_found,
        1,
        "the_stage: No such file or directory: /no/such/rows.csv\n"
        "  hint: check that the file exists, that you may use it, and that the disk has room\n",
    ),
    "B05-unreadable": (
        raising(PermissionError(13, "Permission denied", "rows.csv")),
        1,
        "the_stage: Permission denied: rows.csv\n"
        "  hint: check that the file exists, that you may use it, and that the disk has room\n",
    ),
    "unexpected": (
        raising(ZeroDivisionError("by\nnought")),
        1,
        "the_stage: ZeroDivisionError: by nought\n  hint: LOCKSTEP_DEBUG=1 shows where; please report it\n",
    ),
    "interrupted": (
        raising(KeyboardInterrupt()),
        130,
        "the_stage: interrupted\n  hint: nothing half-written was left; run it again\n",
    ),
}


@pytest.mark.parametrize(("work", "code", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_line_and_a_hint(capsys, monkeypatch, work, code, told):
    monkeypatch.delenv("LOCKSTEP_DEBUG", raising=False)
    assert guarded(work, "the_stage") == code
    assert capsys.readouterr() == ("", told)
    monkeypatch.setenv("LOCKSTEP_DEBUG", "1")
    assert guarded(work, "the_stage") == code
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith(told)


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (2, 2)])
def test_the_exit_code_is_that_of_the_work(capsys, answer, code):
    assert guarded(lambda: answer, "the_stage") == code
    assert capsys.readouterr() == ("", "")


PRINT = "from lockstep.stage import guarded; import sys; sys.exit(guarded(lambda: print({}), 'the_stage'))"


def output_read_by(reader, text, **environment):
    """Return the exit code and what is on standard error of a program whose output goes through a pipe."""
    code = f"import time; time.sleep(0.2); {PRINT.format(ascii(text))}"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} | {reader}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=CLEAN | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, done.stdout


def test_a_reader_who_has_had_enough_ends_a_program_quietly():
    assert output_read_by("true", "x" * 100_000) == (141, "", "")
    assert output_read_by("head -c 5", "x" * 5) == (0, "", "xxxxx")


def test_a_broken_pipe_to_another_process_is_told(capsys):
    assert guarded(raising(BrokenPipeError(32, "Broken pipe")), "the_stage") == 1
    assert "the_stage: [Errno 32] Broken pipe" in capsys.readouterr().err


def test_a_terminal_of_ascii_gets_every_text():
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    assert output_read_by("cat", "5 €", **ascii_only) == (0, "", "5 \\u20ac\n")


def lay_out(folder):
    """Copy what the first stage reads, with a small bundled data set."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("sklearn:breast_cancer", "sklearn:iris")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    return folder


@pytest.fixture
def project(tmp_path):
    return lay_out(tmp_path)


@pytest.fixture(scope="module")
def clean_run(tmp_path_factory):
    """Return the outputs of the first stage, run once in a folder of its own."""
    folder = lay_out(tmp_path_factory.mktemp("clean"))
    assert run(folder, stage("data_ingestion")).returncode == 0
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def run(project, *command, **environment):
    return subprocess.run(
        [sys.executable, *command], cwd=project, env=CLEAN | environment, capture_output=True, text=True, check=False
    )


def stage(name):
    return str(ROOT / "src" / f"{name}.py")


def left_in(project):
    return sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())


def test_a_stage_writes_its_outputs_and_says_so(project):
    done = run(project, stage("data_ingestion"))
    assert (done.returncode, done.stdout) == (0, "")
    assert "INFO data_ingestion: 150 rows x 5 columns from sklearn:iris" in done.stderr
    assert left_in(project) == [*OUTPUTS, "dvc.yaml", "params.yaml"]


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        pytest.param("data_ingestion", ("sklearn:iris", "rows.csv"), "source 'rows.csv' not found", id="B01"),
        pytest.param("data_ingestion", ("folds: 5", "folds: five"), "model_building.folds = 'five'", id="B52c"),
        pytest.param("data_ingestion", ("folds: 5", "fold: 5"), "unknown key 'model_building.fold'", id="B52b"),
        pytest.param("data_preprocessing", ("a", "a"), "data/raw/data.parquet not found", id="nothing-to-read"),
        pytest.param("model_evaluation", ("a", "a"), "No such file or directory: models/schema.json", id="no-schema"),
    ],
)  # fmt: skip
def test_a_failing_stage_leaves_nothing(project, name, change, told):
    params = project / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    done = run(project, stage(name))
    assert (done.returncode, done.stdout) == (1, "")
    problem, hint = done.stderr.splitlines()
    assert problem.startswith(f"{name}: ")
    assert told in problem
    assert hint.startswith("  hint: ")
    assert left_in(project) == ["dvc.yaml", "params.yaml"]


def test_debug_shows_the_traceback(project):
    done = run(project, stage("data_preprocessing"), LOCKSTEP_DEBUG="1")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")


FULL_DISK = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.argv = [{script!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.parametrize("size", [0, 3000], ids="B48-{}-bytes".format)
def test_a_full_disk_leaves_nothing_half_written_and_a_rerun_mends_it(project, clean_run, size):
    script = stage("data_ingestion")
    done = run(project, "-c", FULL_DISK.format(size=size, script=script), PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].endswith("that the disk has room")
    assert left_in(project) == ["dvc.yaml", "params.yaml"]
    assert run(project, script).returncode == 0
    assert {name: (project / name).read_bytes() for name in OUTPUTS} == clean_run


INTERRUPTED = """
import os, signal, sys
from lockstep import files, paths
from lockstep.stage import run_stage
def main(params):
    with files.atomic(paths.RAW) as partial:
        partial.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where tests run in the background
run_stage("data_ingestion", main)
"""


def test_an_interrupted_stage_leaves_nothing(project):
    done = run(project, "-c", INTERRUPTED)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.splitlines() == [
        "data_ingestion: interrupted",
        "  hint: nothing half-written was left; run it again",
    ]
    assert left_in(project) == ["dvc.yaml", "params.yaml"]


@pytest.mark.parametrize("folder", [".", "usecases/churn"])
def test_a_library_that_is_not_the_pinned_one_runs_no_stage(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "dvc.yaml").touch()
    check_release(tmp_path / folder)  # a clone of the library pins none
    pin = tmp_path / "requirements-lockstep.txt"
    pin.write_text(f"lockstep-mlops=={VERSION} --hash=sha256:0\n")
    check_release(tmp_path / folder)
    pin.write_text(f"lockstep-mlops=={VERSION}1 --hash=sha256:0\n")
    with pytest.raises(errors.ConfigError, match=f"is {VERSION}, and .* names lockstep-mlops=={VERSION}1$") as refused:
        check_release(tmp_path / folder)
    assert refused.value.hint == "make setup"
