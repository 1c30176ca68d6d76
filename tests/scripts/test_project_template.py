"""The files of a project that depends on the wheel, as the build makes them from those of this repository."""

import re
import subprocess
import sys
import tarfile

import pytest
import yaml

from lockstep.paths import PIN
from tests.pipeline.project import STAGES
from tests.root import ROOT


def write(folder):
    """Write the archive as the build of a wheel does, in a process of its own."""
    subprocess.run([sys.executable, ROOT / "scripts/project_template.py", folder], check=True)
    return folder / "template.tar.xz"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The template, unpacked."""
    folder = tmp_path_factory.mktemp("template")
    with tarfile.open(write(folder)) as archive:
        archive.extractall(folder / "files", filter="data")
    return folder / "files"


def texts(template):
    for path in template.rglob("*"):
        if path.is_file():
            yield path.relative_to(template).as_posix(), path.read_text(encoding="utf-8")


def test_the_same_files_give_the_same_bytes(tmp_path):
    assert write(tmp_path / "a").read_bytes() == write(tmp_path / "b").read_bytes()


def test_a_project_has_what_a_clone_has_but_the_library(template):
    assert {path.name for path in template.iterdir()} == {
        *(".dockerignore", ".dvc", ".dvcignore", ".env.example", ".github", ".gitignore", "Dockerfile", "Makefile"),
        ".gitlab-ci.yml",
        *(
            "README.md",
            "compose",
            "compose.yaml",
            "data",
            "docs",
            "dvc.yaml",
            "examples",
            "features.py",
            "flask_app",
            "infra",
            "k8s",
        ),
        *("models", "monitoring", "notebooks", "params.yaml", "pyproject.toml", "requirements-build.lock"),
        *("requirements-dev.lock", "requirements-extras.lock", "requirements-mlflow.lock", "requirements-serve.lock"),
        *("requirements.lock", "scripts", "src", "tests_project"),
    }
    assert {path.stem for path in (template / "src").iterdir()} == set(STAGES)
    assert (template / "scripts/repro").stat().st_mode & 0o111
    assert not (template / "Makefile").stat().st_mode & 0o111


def test_every_stage_depends_on_its_script_and_on_the_release_of_the_library(template):
    stages = yaml.safe_load((template / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    here = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in stages.items():
        data = [dep for dep in here[name]["deps"] if not dep.startswith("src/")]
        assert stage["deps"] == [*data, PIN.name, f"src/{name}.py"]
        assert stage | {"deps": here[name]["deps"]} == here[name]


def test_nothing_is_left_that_only_this_repository_has(template):
    left = {
        name: found
        for name, text in texts(template)
        if (found := re.findall(r"# <library|library>|# project:|--editable|COPY src/lockstep|setup\.py$", text))
    }
    assert left == {}
    for name in (".github/workflows/ci.yml", ".github/workflows/deploy.yml", ".github/workflows/infra.yml"):
        text = (template / name).read_text(encoding="utf-8")
        targets = {word for line in re.findall(r"make (?:--silent )?([a-z -]+)", text) for word in line.split()}
        makefile = (template / "Makefile").read_text(encoding="utf-8")
        assert {target for target in targets if not re.search(rf"(?m)^{target}:", makefile)} == set(), name
        jobs = yaml.safe_load(text)["jobs"]
        assert {need for job in jobs.values() for need in [job.get("needs")] if need} <= jobs.keys()
        scripts = re.findall(r"run: (scripts/[\w.]+)", text)
        assert [script for script in scripts if not (template / script).is_file()] == []


def test_a_script_of_a_make_target_is_there(template):
    makefile = (template / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"scripts/[\w.]+", makefile)
    named += [f"scripts/{name}.py" for name in re.findall(r"-m scripts\.(\w+)", makefile)]
    assert [name for name in named if not (template / name).is_file()] == []


def test_no_page_or_message_installs_a_package_of_others():
    """`lockstep` and the names nearest to it on the package index belong to others."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("template/**/*")]
    paths += [*ROOT.glob("src/**/*.py"), *ROOT.glob("flask_app/**/*.py"), *ROOT.glob("notebooks/*.ipynb")]
    wrong = re.compile(r"(?:install|download|add) (?:-[\w-]+ )*['\"]?lockstep(?!-mlops|_mlops)\b")
    texts = {path: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
    assert [str(path) for path, text in texts.items() if wrong.search(text)] == []
    assert wrong.search("pip install 'lockstep[dask]'")
