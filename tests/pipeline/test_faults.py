"""What may happen to a machine while the pipeline runs: killed, full, asked twice at once."""

import os
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
import yaml

from lockstep import files
from tests.pipeline.project import STAGES, copy_of

pytestmark = pytest.mark.pipeline

MAIN = dict(
    zip(
        STAGES,
        ("data.parquet", "train.parquet", "features.skops", "model.skops", "metrics.json", "registered.json"),
        strict=True,
    )
)
"""Of each stage, the file at whose writing it is killed."""

OLD = b"what an earlier run left\n"


@pytest.fixture(scope="module")
def quick(finished, tmp_path_factory, template_store):
    """A finished project whose stages take little, and what it keeps of its tracking is new."""
    project = copy_of(finished, tmp_path_factory.mktemp("faults") / "a project")
    shutil.copyfile(template_store, project.root / "first.db")
    project.settings["MLFLOW_TRACKING_URI"] = f"sqlite:///{project.root}/first.db"
    project.stages()
    return project


def outputs(project, stage):
    """Return the content of each file that a stage makes."""
    named = yaml.safe_load(project.read("dvc.yaml"))["stages"][stage]
    paths = [next(iter(out)) if isinstance(out, dict) else out for out in named["outs"] + named.get("metrics", [])]
    made = [project.root / path for path in paths]
    return {path: path.read_bytes() for path in made if path.is_file()}


def partial_files(project):
    return [path for folder in ("data", "models", "reports") for path in (project.root / folder).rglob("*.partial*")]


@contextmanager
def deadly(name, moment):
    """Let this process be killed before, while or after it writes a file of this name."""
    whole = files.atomic

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def atomic(path):
        if path.name == name and moment == "before":
            die()
        with whole(path) as partial:
            yield partial
            if path.name == name and moment == "while":
                os.truncate(partial, partial.stat().st_size // 2)
                die()
        if path.name == name:
            die()

    files.atomic = atomic
    try:
        yield
    finally:
        files.atomic = whole


def killed(project, stage, moment):
    """Run a stage in a fork of this process that is killed on the way, and return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            with deadly(MAIN[stage], moment):
                project.script(stage)
        finally:
            os._exit(1)
    end = time.monotonic() + 120
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGTERM)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(ended[1])


def versions(project):
    """Return the versions in the registry of a project."""
    from mlflow import MlflowClient

    client = MlflowClient(project.settings["MLFLOW_TRACKING_URI"])
    return [one.version for one in client.search_model_versions("name='breast-cancer'")]


@pytest.mark.parametrize("moment", ["before", "while", "after"])
@pytest.mark.parametrize("stage", STAGES)
def test_b49_a_killed_stage_leaves_whole_files_and_a_rerun_mends_it(quick, template_store, stage, moment):
    right = outputs(quick, stage)
    shutil.copyfile(template_store, quick.root / f"{stage}-{moment}.db")
    quick.settings["MLFLOW_TRACKING_URI"] = f"sqlite:///{quick.root}/{stage}-{moment}.db"
    for path in right:
        path.write_bytes(OLD)

    assert killed(quick, stage, moment) == -signal.SIGKILL
    left = outputs(quick, stage)
    assert [path.name for path, content in left.items() if content not in (OLD, right[path])] == []
    main = next(path for path in right if path.name == MAIN[stage])
    assert left[main] == (right[main] if moment == "after" else OLD)

    quick.script(stage)
    assert outputs(quick, stage) == right
    assert partial_files(quick) == []
    if stage == "register_model":
        assert versions(quick) == [1]


@contextmanager
def full_disk(octets):
    """Let no file of this process grow beyond a size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("stage", STAGES[:-1])
def test_b48_a_full_disk_stops_each_stage_with_one_line_and_no_half_file(quick, stage):
    right = outputs(quick, stage)
    for path in right:
        path.write_bytes(OLD)
    with full_disk(1 + len(OLD)):
        done = quick.script(stage, ok=False)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert (len(errors), "Traceback" in done.stderr) == (2, False), done.stderr
    assert "hint: check that the file exists, that you may use it, and that the disk has room" in done.stderr
    assert set(outputs(quick, stage).values()) == {OLD}
    assert partial_files(quick) == []
    quick.script(stage)
    assert outputs(quick, stage) == right


def test_b50_two_pipelines_at_once_do_not_mix(finished, tmp_path):
    project = copy_of(finished, tmp_path / "twice")
    command = ["dvc", "repro", "--force", "--single-item", "data_ingestion"]
    started = [
        subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300)[0] for process in started]
    codes = [process.returncode for process in started]
    assert 0 in codes, told
    for code, text in zip(codes, told, strict=True):
        assert code == 0 or "lock" in text.lower(), text
    assert project.git_status() == ""
    assert outputs(project, "data_ingestion") == {
        project.root / path.relative_to(finished.root): content
        for path, content in outputs(finished, "data_ingestion").items()
    }
