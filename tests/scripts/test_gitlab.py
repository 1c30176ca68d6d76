"""GitLab's CI file: its schema, its targets and scripts, and that it does what the workflows of GitHub do."""

import re

import pytest
import yaml

from tests import ops
from tests.root import ROOT

FILE = ROOT / ".gitlab-ci.yml"
TEXT = FILE.read_text(encoding="utf-8")
KEYWORDS = {"stages", "workflow", "default", "variables"}
CONTENT = yaml.safe_load(TEXT)
JOBS = {name: job for name, job in CONTENT.items() if name not in KEYWORDS and not name.startswith(".")}
ON_GITHUB_ALONE = {"propose", "results", "setup-ops", "check-ops", "test-image", "setup", "check-infra"}
"""Targets of workflows that docs/gitlab.md leaves out, and those that others call."""

WRONG = ("stage: check", "stages: check"), ("script:", "scripts:"), ("timeout: 2 hours", "timeout: [2]")


def targets(text):
    """Return the make targets that commands call."""
    return {
        word
        for words in re.findall(r"\bmake (?:--silent )?((?:[a-z-]+ ?)+)", text)
        for word in words.split()
        if not word.startswith("-")
    }


def lines(job):
    return [line for part in ("before_script", "script") for line in job.get(part, [])]


def test_gitlab_takes_the_file(tmp_path):
    command = (ops.tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci")
    done = ops.run(*command, FILE)
    assert done.returncode == 0, done.stdout
    for good, bad in WRONG:
        (tmp_path / "bad.yml").write_text(TEXT.replace(good, bad, 1))
        assert ops.run(*command, tmp_path / "bad.yml").returncode == 1, bad


def test_its_targets_and_scripts_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = {target for job in JOBS.values() for line in lines(job) for target in targets(line)}
    assert len(called) > 12
    assert [target for target in called if not re.search(rf"(?m)^{target}:", makefile)] == []
    scripts = {name for job in JOBS.values() for line in lines(job) for name in re.findall(r"\bscripts/[\w.]+", line)}
    assert scripts == {"scripts/suites", "scripts/attach", "scripts/deploy"}
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", ["ci", "deploy", "retrain"])
def test_every_target_of_a_workflow_is_called_on_gitlab_too(name):
    workflow = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job.get("steps", [])]
    wanted = {target for text in steps for target in targets(text)}
    called = {target for job in JOBS.values() for line in lines(job) for target in targets(line)}
    assert wanted
    assert wanted - called - ON_GITHUB_ALONE == set()


def test_every_job_has_a_stage_of_the_list_and_rules_that_no_schedule_runs_twice():
    assert {job["stage"] for job in JOBS.values()} == set(CONTENT["stages"])
    for name, job in JOBS.items():
        conditions = [rule["if"] for rule in job["rules"]]
        by_schedule = '$CI_PIPELINE_SOURCE == "schedule"'
        others = ('$CI_PIPELINE_SOURCE != "schedule"', '$CI_PIPELINE_SOURCE == "merge_request_event"')
        wanted = (by_schedule,) if name == "retrain" else others
        assert all(any(own in condition for own in wanted) for condition in conditions), name


def test_a_push_to_a_branch_with_a_merge_request_runs_once():
    conditions = [rule["if"] for rule in CONTENT["workflow"]["rules"]]
    assert conditions[:2] == ['$CI_PIPELINE_SOURCE == "merge_request_event"', "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"]
    assert "$CI_COMMIT_BRANCH" not in "".join(conditions[2:])


def test_only_the_default_branch_deploys_one_at_a_time_and_without_a_stored_key():
    job = JOBS["production"]
    assert [rule["if"] for rule in job["rules"]] == [
        '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $AWS_DEPLOY_ROLE && $CI_PIPELINE_SOURCE != "schedule"'
    ]
    assert (job["resource_group"], job["interruptible"], job["environment"]) == ("production", False, "production")
    assert job["id_tokens"]["AWS_TOKEN"]["aud"] == "sts.amazonaws.com"
    assert "ACCESS_KEY" not in TEXT.upper()
    order = [
        next(i for i, line in enumerate(lines(job)) if word in line)
        for word in ("preflight", "promote", "scan", "push)", "attach", "scripts/deploy")
    ]
    assert order == sorted(order)


def test_the_commands_are_of_a_shell(tmp_path):
    script = "\n".join(line for job in JOBS.values() for line in lines(job))
    (tmp_path / "all.sh").write_text(f"#!/bin/bash\n{script}\n")
    done = ops.run(ops.tool("shellcheck"), "--exclude", "SC2154,SC1090", tmp_path / "all.sh")
    assert done.returncode == 0, done.stdout


def test_the_page_names_every_job():
    page = (ROOT / "docs/gitlab.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^\| `(\w+)` \|", page) == [*JOBS]
