import copy
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from scripts.workflow_expressions import evaluate
from tests import ops
from tests.github.workflows import faults

FOLDER = ops.ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in FILES}
PARSED = {name: yaml.safe_load(text) for name, text in TEXTS.items()}


def test_s27_zizmor_finds_nothing():
    done = ops.run(ops.tool("zizmor"), "--offline", "--format", "json", FOLDER)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_s27_zizmor_would_find_a_planted_fault(tmp_path):
    bad = TEXTS["retrain"].replace("run: make retrain", "run: echo ${{ github.event.client_payload.reason }}")
    (tmp_path / "retrain.yml").write_text(bad)
    done = ops.run(ops.tool("zizmor"), "--offline", "--format", "json", tmp_path / "retrain.yml")
    assert "template-injection" in {one["ident"] for one in json.loads(done.stdout)}


def test_workflows_are_of_github_s_schema(tmp_path):
    command = (ops.tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows")
    done = ops.run(*command, *FILES)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.yml").write_text(TEXTS["ci"].replace("runs-on:", "run-on:"))
    assert ops.run(*command, tmp_path / "bad.yml").returncode == 1


def test_dependabot_s_file_is_of_its_schema_and_its_folders_exist(tmp_path):
    command = (ops.tool("check-jsonschema"), "--builtin-schema", "vendor.dependabot")
    path = ops.ROOT / ".github/dependabot.yml"
    done = ops.run(*command, path)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.yml").write_text(path.read_text().replace("github-actions", "github-action"))
    assert ops.run(*command, tmp_path / "bad.yml").returncode == 1
    covered = {one["package-ecosystem"]: folders(one) for one in yaml.safe_load(path.read_text())["updates"]}
    assert [name for names in covered.values() for name in names if not (ops.ROOT / name).is_dir()] == []
    tracked = [Path(name) for name in ops.run("git", "ls-files").stdout.split() if not name.startswith("tests/image/")]
    needed = {
        "docker": {own.parent for own in tracked if own.name.endswith("Dockerfile")},
        "docker-compose": {own.parent for own in tracked if own.name == "compose.yaml"},
        "terraform": {
            own.parent for own in tracked if own.suffix == ".tf" and "source " in (ops.ROOT / own).read_text()
        },
        "npm": {own.parent for own in tracked if own.name == "package-lock.json"},
        "pip": {Path()},
        "github-actions": {Path()},
    }
    assert {name: sorted(map(str, own - covered[name])) for name, own in needed.items() if own - covered[name]} == {}


def folders(entry):
    """Return the folders of an entry of Dependabot's file."""
    names = [name.strip("/") for name in entry.get("directories", [entry.get("directory")])]
    return {path.relative_to(ops.ROOT) for name in names for path in ([*ops.ROOT.glob(name)] if name else [ops.ROOT])}


NODE_24 = {
    "actions/cache": 5,
    "actions/checkout": 5,
    "actions/download-artifact": 7,
    "actions/setup-python": 6,
    "actions/upload-artifact": 6,
    "aws-actions/configure-aws-credentials": 6,
    "hashicorp/setup-terraform": 4,
}
"""The first major version of each action that runs on Node 24; support of Node 20 ended in April 2026."""


def test_every_action_runs_on_a_supported_node():
    found = {each for text in TEXTS.values() for each in re.findall(r"uses: (\S+)@\S+ # v(\d+)", text)}
    assert {action for action, _ in found} == NODE_24.keys(), "look up `runs.using` of a new action's action.yml"
    assert [(action, major) for action, major in found if int(major) < NODE_24[action]] == []


@pytest.fixture
def validate():
    """Return a function that asks action-validator, in the project's folder since it looks at globs."""
    validator = ops.ROOT / ".lockstep/npm/node_modules/.bin/action-validator"
    if not (validator.exists() and shutil.which("node")):
        pytest.skip("action-validator is not here: install npm, then `make setup-ops`")
    return lambda path: ops.run(validator, path)


def test_action_validator_finds_nothing(validate):
    assert {path.name: done.stderr for path in FILES if (done := validate(path)).returncode} == {}


def test_action_validator_would_find_a_job_that_needs_none(validate, tmp_path):
    (tmp_path / "bad.yml").write_text(TEXTS["deploy"].replace("needs: tests", "needs: test"))
    assert validate(tmp_path / "bad.yml").returncode == 1


@pytest.mark.parametrize("name", PARSED)
def test_s28_no_workflow_does_what_it_must_not(name):
    assert faults(PARSED[name], TEXTS[name]) == []


PLANTED = {
    "trigger pull_request_target": lambda w: w[True].update({"pull_request_target": None}),
    "permissions at the top": lambda w: w.pop("permissions"),
    "no concurrency": lambda w: w.pop("concurrency"),
    "retrain: no permissions of its own": lambda w: w["jobs"]["retrain"].pop("permissions"),
    "retrain: may write packages": lambda w: w["jobs"]["retrain"]["permissions"].update(packages="write"),
    "retrain: no timeout": lambda w: w["jobs"]["retrain"].pop("timeout-minutes"),
    "retrain: actions/checkout@v6 is not pinned": lambda w: step(w, 0).update(uses="actions/checkout@v6"),
    "retrain: checkout keeps its token": lambda w: step(w, 0).pop("with"),
    "retrain: run holds github.event": lambda w: step(w, 2).update(
        run="echo ${{ github.event.client_payload.reason }}"
    ),
    "retrain: run holds secrets.": lambda w: step(w, 2).update(run="echo ${{secrets.TOKEN}}"),
}


def step(workflow, number):
    return workflow["jobs"]["retrain"]["steps"][number]


@pytest.mark.parametrize("fault", PLANTED)
def test_s28_a_planted_fault_is_found(fault, monkeypatch):
    monkeypatch.setitem(__import__("tests.github.workflows", fromlist=["WRITE"]).WRITE, "packages", set())
    workflow = copy.deepcopy(PARSED["retrain"])
    PLANTED[fault](workflow)
    assert fault in faults(workflow, "")


def test_s28_a_key_of_aws_is_found():
    assert faults(PARSED["deploy"], "with: {AWS-Access-Key-ID: x}") == ["key aws-access-key-id"]


def test_s28_each_action_says_its_version():
    lines = [line for text in TEXTS.values() for line in text.splitlines() if "uses:" in line and "./" not in line]
    assert len(lines) > 10
    assert [line for line in lines if not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []
    pinned = {re.search(r"uses: (\S+)@(\S+)", line).groups() for line in lines}
    assert len(pinned) == len({action for action, _ in pinned})


def test_a_fork_needs_no_secret():
    """A fork has neither token nor role: what uses them is left out, or works without."""
    steps = [step for job in PARSED["ci"]["jobs"].values() for step in job["steps"]]
    assert {step["run"] for step in steps if "secrets." in str(step.get("env"))} == {"make pull-data"}
    assert TEXTS["ci"].count("secrets.") == sum("secrets." in str(step) for step in steps)
    aws = [step for step in steps if "role-to-assume" in step.get("with", {})]
    own_branch = "github.event.pull_request.head.repo.full_name == github.repository"
    assert [step for step in aws if own_branch not in step["if"] or "vars.AWS_CI_ROLE != ''" not in step["if"]] == []
    assert len(aws) == 2
    guarded = [
        job for name in ("deploy", "retrain", "infra") for job in PARSED[name]["jobs"].values() if "environment" in job
    ]
    assert len(guarded) == 5
    assert [job["if"] for job in guarded if "vars.AWS_" not in job["if"]] == []


def test_a_change_runs_the_tests_once():
    """A branch with a pull request starts `ci` by that alone, and main starts it by `deploy`."""
    triggers = {name: set(workflow[True]) for name, workflow in PARSED.items()}
    assert {name for name, given in triggers.items() if "push" in given} == {"deploy"}
    assert PARSED["deploy"][True]["push"] == {"branches": ["main"]}
    assert {name for name, given in triggers.items() if "pull_request" in given} == {"ci", "infra"}


def test_caches_are_keyed_by_locks():
    steps = [one for workflow in PARSED.values() for job in workflow["jobs"].values() for one in job.get("steps", [])]
    keys = [one["with"]["key"] for one in steps if one.get("uses", "").startswith("actions/cache@")]
    assert keys == ["dvc-${{ hashFiles('**/dvc.lock', '**/*.dvc') }}"] * 2
    python = [one["with"] for one in steps if one.get("uses", "").startswith("actions/setup-python@")]
    assert {(one["cache"], one["cache-dependency-path"]) for one in python} == {("pip", "requirements*.lock")}


SCHEDULES = {"": True, "cluster": False}


@pytest.mark.parametrize(("choice", "runs"), SCHEDULES.items())
def test_there_is_one_schedule_of_retraining(choice, runs):
    variables = {"AWS_TRAIN_ROLE": "arn", "RETRAIN_SCHEDULE": choice}
    condition = PARSED["retrain"]["jobs"]["retrain"]["if"]
    assert evaluate(condition, {"vars": variables, "github": {"event_name": "schedule"}}) == runs
    assert evaluate(condition, {"vars": variables, "github": {"event_name": "repository_dispatch"}})
    assert yaml.safe_load((ops.ROOT / "k8s/base/retrain.yaml").read_text())["spec"]["suspend"] is True


def test_nothing_is_deployed_before_the_tests_have_passed():
    production = PARSED["deploy"]["jobs"]["production"]
    assert production["needs"] == "tests"
    assert PARSED["deploy"]["jobs"]["tests"]["uses"] == "./.github/workflows/ci.yml"
    assert "always()" not in TEXTS["deploy"]


def test_what_workflows_run_is_a_target_or_a_script_that_is_there():
    steps = [one for text in PARSED.values() for job in text["jobs"].values() for one in job.get("steps", [])]
    runs = [one["run"] for one in steps if "run" in one]
    targets = {
        word for run in runs for found in re.findall(r"make ((?:--silent )?[\w -]+)", run) for word in found.split()
    }
    scripts = {name for run in runs for name in re.findall(r"scripts/(\w+)", run)}
    makefile = (ops.ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    assert {"check", "test", "pipeline", "promote", "push", "retrain", "propose"} <= targets
    assert targets - known == {"--silent", "ARGS"}
    assert [name for name in scripts if not (ops.ROOT / "scripts" / name).exists()] == []


def test_every_variable_of_the_workflows_is_explained():
    page = (ops.ROOT / "docs/aws.md").read_text(encoding="utf-8")
    used = {name for text in TEXTS.values() for name in re.findall(r"(?:vars|secrets)\.(\w+)", text)}
    assert len(used) > 8
    assert [name for name in sorted(used) if f"`{name}`" not in page] == []
