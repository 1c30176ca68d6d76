"""The scripts that workflows run, on a laptop: what they print, and what they say where something is missing."""

import json

import pytest

from tests import ops


def bare(tmp_path, *tools):
    """Return an environment in which only a shell's own tools, Python and those named are found."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("sh", "env", "dirname", "printf", "git", "mkdir", "grep", "wc", "cat", *tools):
        (folder / name).symlink_to(ops.program(name, "part of every system"))
    (folder / "python3").symlink_to(ops.ROOT / ".venv/bin/python3")
    return {"PATH": str(folder), "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("script", "words", "problem"),
    [
        ("push", ["--tag", "a"], "ECR_REPOSITORY is not set"),
        ("infra", ["plan"], "terraform is not installed"),
        ("propose", ["build/none.json"], "is not installed"),
        ("metrics_diff", ["HEAD"], "dvc is not installed"),
        ("metrics_diff", ["nowhere"], "there is no commit nowhere"),
        ("sbom", ["requirements.lock"], "cyclonedx-py is not installed"),
        ("sbom", ["none.lock"], "there is no none.lock"),
        ("remote", [], "neither DVC_REMOTE_URL nor DAGSHUB_REPO is set"),
        ("remote", ["s3://own/er"], "dvc is not installed"),
        ("retrain", [], "lockstep is not installed"),
    ],
)
def test_what_is_missing_is_named_with_a_hint(tmp_path, script, words, problem):
    done = ops.run(ops.ROOT / "scripts" / script, *words, env=bare(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize("script", ["push", "infra", "propose"])
def test_help_ends_with_options_and_shows_an_example(script):
    done = ops.run(ops.ROOT / "scripts" / script, "--help")
    assert done.returncode == 0
    assert "Example: " in done.stdout


@pytest.fixture
def long(request):
    if not request.config.getoption("long"):
        pytest.skip("--long runs it for real: `make check-ops ARGS=--long`")


def test_the_bill_of_materials_names_what_the_lock_pins(long, tmp_path):
    lock = tmp_path / "own.lock"
    lock.write_text(f"flask==3.1.2 \\\n    --hash=sha256:{'a' * 64}\n")
    done = ops.run(ops.ROOT / "scripts/sbom", lock, tmp_path / "sbom.json", env=with_environment())
    assert done.returncode == 0, done.stderr
    (flask,) = json.loads((tmp_path / "sbom.json").read_text())["components"]
    assert (flask["name"], flask["version"]) == ("flask", "3.1.2")


def test_the_difference_of_metrics_is_markdown(long):
    done = ops.run(ops.ROOT / "scripts/metrics_diff", "HEAD", env=with_environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### metrics, against HEAD\n\n")


def with_environment():
    return ops.environment("") | {"PATH": f"{ops.ROOT / '.venv/bin'}:/usr/bin:/bin"}
