"""A copy of the project in which a test may run the pipeline as a person would."""

import contextlib
import io
import json
import logging
import os
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from lockstep import cli, stage
from lockstep.config.params import Params
from tests.root import ROOT, is_user_file

PARAMS = Path(__file__).with_name("params.yaml")
FORGET = ("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_", "PROMETHEUS_", "GIT_", "COV_", "AWS_")
DATA = ROOT.parent / "shared" / "data"
STAGES = tuple(Params.model_fields)


@dataclass
class Project:
    """A folder with the tracked files of the project, committed to a repository of its own."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)
    timeout_s: int = 600

    @property
    def environment(self) -> dict[str, str]:
        """Return a clean environment: our own interpreter first, and none of this machine's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FORGET)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        own = {"PATH": path, "PYTHONPATH": f"{self.root / 'src'}{os.pathsep}{self.root}", "DVC_NO_ANALYTICS": "1"}
        return {**kept, **own, "PYTHONWARNINGS": "ignore", **self.settings}

    def run(self, *command: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; with `ok`, its failure is the test's."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=self.timeout_s
        )
        assert done.returncode == 0 or not ok, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done

    def lockstep(self, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line in this process, which spares the imports."""
        return self._here(lambda: stage.guarded(lambda: cli.main(words), "lockstep"), words, ok)

    def script(self, name: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the script of a stage in this process as `python src/NAME.py` would, which spares the imports."""

        def run() -> int:
            try:
                runpy.run_path(str(self.root / "src" / f"{name}.py"), run_name="__main__")
            except SystemExit as end:
                return int(end.code or 0)
            raise AssertionError(f"src/{name}.py ends without an exit code")

        return self._here(run, (name,), ok)

    def stages(self, first: str = STAGES[0]) -> None:
        """Run the scripts of all stages from one on, in this process and without DVC."""
        for name in STAGES[STAGES.index(first) :]:
            self.script(name)

    def _here(self, work: Callable[[], int], words: tuple[str, ...], ok: bool) -> subprocess.CompletedProcess[str]:
        """Call something in this process; folder and environment are the project's."""
        out, err, own, before = io.StringIO(), io.StringIO(), self.environment, dict(os.environ)
        handlers = logging.getLogger().handlers[:]
        with contextlib.chdir(self.root), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                os.environ.clear()
                os.environ.update(own)
                code = work()
            finally:
                os.environ.clear()
                os.environ.update(before)
                logging.getLogger().handlers[:] = handlers
        assert code == 0 or not ok, f"{words}:\n{out.getvalue()}\n{err.getvalue()}"
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def repro(self, *words: str) -> str:
        """Run the pipeline and return what DVC prints."""
        return self.run("dvc", "repro", *words).stdout

    def commit(self, subject: str) -> None:
        """Commit everything, to a new repository if there is none."""
        self.run("git", "init", "-q")
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", subject)

    def git_status(self) -> str:
        """Return what git thinks has changed."""
        return self.run("git", "status", "--porcelain").stdout

    def read(self, name: str) -> str:
        """Read a file of the project."""
        return (self.root / name).read_text(encoding="utf-8")

    def logged(self, name: str) -> str:
        """Read a report as it was logged with the run of the model."""
        run = json.loads(self.read("reports/experiment_info.json"))["run_id"]
        (found,) = (self.root / ".lockstep").rglob(f"{run}/**/reports/{name}")
        return found.read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file once."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        (self.root / name).write_text(text.replace(old, new), encoding="utf-8")


def product_files() -> list[str]:
    """Return the tracked files of the product, without those of the user's project."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = filter(None, listed.stdout.split("\0"))
    return [name for name in names if not is_user_file(name) and (ROOT / name).is_file()]


def copy_project(to: Path) -> Project:
    """Make a project of the product's tracked files, as they stand, and the params of these tests, and commit it."""
    for name in product_files():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name)
    shutil.copy(PARAMS, to / "params.yaml")
    for name in ("data/external/README.md", "models/.gitkeep", "features.py"):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).touch()
    project = Project(to)
    project.commit("copy")
    return project


def copy_of(project: Project, to: Path) -> Project:
    """Copy a project with everything it has made."""
    shutil.copytree(project.root, to, symlinks=True)
    return Project(to, dict(project.settings))
