"""A project of `lockstep new`: made from a wheel, run, checked, edited and moved to the next release.

Wheels are built from a copy of the repository at two tags. The environment of the project imports this library from its
wheel alone: `.venv` sees the locked packages of this checkout by links, without the editable installation, so that the
recipe of `make setup` finds them installed and adds the wheel from `wheels/`.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest

from lockstep.config import use_cases
from tests.pipeline.project import STAGES, Project, copy_project
from tests.serving.real import free_port, wait_for

pytestmark = [pytest.mark.pipeline, pytest.mark.long("builds two wheels and runs a project that depends on them")]

PROGRAM = """#!/bin/sh
exec "{python}" -c "import importlib.metadata as m, sys; sys.argv[0] = '{name}'
sys.exit(next(iter(m.entry_points(group='console_scripts', name='{name}'))).load()())" "$@"
"""

RELEASE = {
    "params.yaml": ("resamples: 1000 ", "resamples: 500 "),
    "examples/breast-cancer.yaml": ("  resamples: 1000 ", "  resamples: 500 "),
    "src/data_preprocessing.py": ("import logging\n", "import logging\nimport os\n"),
    ".github/workflows/ci.yml": ("    timeout-minutes: 15\n", "    timeout-minutes: 16\n"),
    "monitoring/prometheus.yml": ("global:\n", "# Of the new release.\nglobal:\n"),
    "k8s/base/disruption-budget.yaml": ("maxUnavailable: 1", "maxUnavailable: 2"),
    "src/lockstep/runtime/release.py": ('VERSION = "0.1.0"', 'VERSION = "0.2.0"'),
}
"""What the next release changes."""


def wheel_of(library, tag):
    """Tag the library, and return the wheel of that tag."""
    library.run("git", "tag", tag)
    library.run("git", "clean", "-fdxq")
    library.run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", str(library.root.parent / tag), "."),
    )
    (wheel,) = (library.root.parent / tag).iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheels of two releases."""
    library = copy_project(tmp_path_factory.mktemp("library") / "library")
    (library.root / "features.py").write_bytes(use_cases.FUNCTIONS)
    library.commit("as in a fresh clone")
    old = wheel_of(library, "v0.1.0")
    for name, (before, after) in RELEASE.items():
        if name != "params.yaml":
            library.edit(name, before, after)
    library.commit("A release")
    return old, wheel_of(library, "v0.2.0")


def environment(folder, packages):
    """Make a virtual environment without this library, which sees the other packages of this checkout."""
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"_*(editable_*)?lockstep", path.name):
            (packages / path.name).symlink_to(path)
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "locked.pth").write_text(f"{packages}\n")
    for name in ("dvc", "mypy", "pip", "pytest"):
        (folder / "bin" / name).write_text(PROGRAM.format(python=folder / "bin/python", name=name))
        (folder / "bin" / name).chmod(0o755)
    (folder / "bin/ruff").symlink_to(Path(sys.executable).with_name("ruff"))


@pytest.fixture(scope="module")
def shop(wheels, tmp_path_factory):
    """A project that the wheel's own command has made, committed and set up by its Makefile."""
    folder = tmp_path_factory.mktemp("projects")
    environment(folder / "tools", folder / "packages")
    outside = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent
    )
    project = Project(folder / "shop", {"PATH": outside, "PYTHONPATH": "", "PIP_NO_INDEX": "1"}, timeout_s=1800)
    install = ("-m", "pip", "install", "--quiet", "--no-deps", str(wheels[0]))
    subprocess.run([folder / "tools/bin/python", *install], check=True, env=project.environment)
    subprocess.run([folder / "tools/bin/lockstep", "new", "shop"], cwd=folder, check=True, env=project.environment)
    environment(folder / "shop/.venv", folder / "packages of shop")
    project.commit("Start")
    project.run("make", "setup-dev")
    return project


@contextlib.contextmanager
def served(project, *command):
    """Yield the port of a server that a command starts, once it is ready."""
    port = free_port()
    with (project.root.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=project.root, env=project.environment | {"PORT": str(port), "LOCKSTEP_WORKERS": "1"},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(lambda: process.poll() is not None or _is_ready(port), 900, 1)
            assert process.poll() is None, (project.root.parent / "log").read_text()[-3000:]
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def ask_json(port, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)


def _is_ready(port):
    with contextlib.suppress(OSError):
        return ask_json(port, "/readyz")["status"] == "ready"
    return False


def predict(project, port):
    row = json.loads(project.read("models/smoke.json"))["rows"][0]
    return ask_json(port, "/predict", {"rows": [row]})


def version_in(project):
    """Return where the environment of a project imports the library from, and its release."""
    code = "import lockstep; from lockstep.runtime.release import VERSION; print(lockstep.__file__, VERSION)"
    path, version = project.run(".venv/bin/python", "-c", code).stdout.split()
    assert Path(path).is_relative_to(project.root / ".venv")
    return version


def test_make_run_trains_promotes_and_serves(shop):
    assert version_in(shop) == "0.1.0"
    with served(shop, "make", "run") as port:
        answer = predict(shop, port)
        assert answer["model"] == {"name": "breast-cancer", "version": "1"}
        loaded = ask_json(port, "/v2")["version"]
        assert loaded == "0.1.0"
    lock = shop.read("dvc.lock")
    assert lock.count("path: requirements-lockstep.txt") == len(STAGES)
    assert "src/lockstep" not in lock


def test_the_checks_of_the_project_pass(shop):
    assert "10 passed" in shop.run("make", "test-project").stdout
    shop.run("make", "check")
    assert json.loads(shop.run(".venv/bin/dvc", "status", "--json").stdout) == {}


def test_the_app_of_the_project_is_the_one_that_serves(shop):
    entry = shop.root / "flask_app/wsgi.py"
    before = entry.read_text()
    entry.write_text(before + '\nprint("own entry", flush=True)\n')
    with served(shop, "make", "serve"):
        assert "own entry" in (shop.root.parent / "log").read_text()
    entry.write_text(before)


def test_a_use_case_depends_on_the_release_too(shop):
    lines = "".join(f"{number % 7},{number % 3},{'yes' if number % 7 > 3 else 'no'}\n" for number in range(300))
    (shop.root.parent / "rows.csv").write_text(f"a,b,churned\n{lines}")
    shop.run(".venv/bin/lockstep", "init", "../rows.csv", "--target", "churned", "--name", "churn", "--git")
    assert "- ../../requirements-lockstep.txt\n" in shop.read("usecases/churn/dvc.yaml")
    shop.run(".venv/bin/python", "scripts/use_cases.py", "--check")
    shutil.rmtree(shop.root / "usecases")


def test_an_upgrade_keeps_the_edits_and_shows_the_conflict(shop, wheels):
    shop.edit("params.yaml", "C: [0.03, 0.1, 0.3, 1.0, 3.0]", "C: [0.1, 1.0]")
    shop.edit(
        "src/data_preprocessing.py",
        "    raw = RawData.load(params.split)\n",
        "    raw = RawData.load(params.split)\n    print(raw)\n",
    )
    shop.edit(
        ".github/workflows/ci.yml", "  pipeline:\n    runs-on: ubuntu-24.04", "  pipeline:\n    runs-on: self-hosted"
    )
    shop.edit("k8s/base/disruption-budget.yaml", "maxUnavailable: 1", "maxUnavailable: 3")
    (shop.root / "src/own.py").write_text('"""My own."""\n')
    (shop.root / "examples/toxicity.yaml").unlink()
    shop.commit("edits")

    done = shop.run(".venv/bin/lockstep", "upgrade", str(wheels[1]), ok=False)
    assert done.returncode == 1, done.stderr
    assert re.findall(r"CONFLICT  (.*)", done.stdout) == ["k8s/base/disruption-budget.yaml"]
    assert re.search(
        r"<<<<<<< .*maxUnavailable: 3\n=======\n.*maxUnavailable: 2\n>>>>>>>",
        shop.read("k8s/base/disruption-budget.yaml"),
        re.DOTALL,
    )
    for name, mine in (
        ("params.yaml", "C: [0.1, 1.0]"),
        ("src/data_preprocessing.py", "    print(raw)\n"),
        (".github/workflows/ci.yml", "runs-on: self-hosted"),
        ("monitoring/prometheus.yml", ""),
    ):
        text = shop.read(name)
        assert mine in text and RELEASE[name][1] in text, name
    assert (shop.root / "src/own.py").is_file()
    assert not (shop.root / "examples/toxicity.yaml").exists()

    shop.run("git", "checkout", "--ours", "k8s/base/disruption-budget.yaml")
    shop.commit("Upgrade")


def test_the_model_of_the_old_release_is_served_by_the_new_one_and_every_stage_is_to_run_again(shop):
    early = shop.run(".venv/bin/python", "src/data_ingestion.py", ok=False)
    assert "the installed library is 0.1.0, and requirements-lockstep.txt names lockstep-mlops==0.2.0" in early.stderr
    shop.run("make", "setup-dev")
    assert version_in(shop) == "0.2.0"
    with served(shop, "make", "serve") as port:
        assert ask_json(port, "/v2")["version"] == "0.2.0"
        assert predict(shop, port)["model"] == {"name": "breast-cancer", "version": "1"}
    exported = shop.root.parent / "log.csv"
    shop.run(".venv/bin/lockstep", "log", "export", str(exported))
    assert len(exported.read_text().splitlines()) == 3  # a header, and a row that each release has answered
    assert set(json.loads(shop.run(".venv/bin/dvc", "status", "--json").stdout)) >= set(STAGES)
