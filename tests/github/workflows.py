"""S28 as a pure function: what a workflow of GitHub does that it must not."""

import re

PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
FOREIGN = re.compile(
    r"\$\{\{[^}]*?(github\.(event|head_ref|ref_name|actor)|inputs\.|client_payload|steps\.|vars\.|secrets\.)"
)
KEYS = ("aws-access-key-id", "aws_access_key_id", "aws-secret-access-key", "aws_secret_access_key")
WRITE = {
    "contents": {"retrain", "gitops"},
    "pull-requests": {"retrain", "comment", "tests"},
    "id-token": {"production", "gitops", "retrain", "plan", "apply", "tests", "pipeline", "image"},
}
"""Which jobs may write what."""


def faults(workflow, text):
    """Return what is wrong with a workflow, given as parsed (`on` is YAML's true) and as text."""
    triggers = workflow.get("on", workflow.get(True))
    found = [f"trigger {name}" for name in ("pull_request_target", "workflow_run", "issue_comment") if name in triggers]
    found += ["permissions at the top"] * (workflow.get("permissions") != {})
    found += ["no concurrency"] * ("concurrency" not in workflow)
    found += [f"key {name}" for name in KEYS if name in text.lower()]
    for name, job in workflow["jobs"].items():
        found += [f"{name}: {what}" for what in _of_job(name, job)]
    return found


def _of_job(name, job):
    given = job.get("permissions")
    if not isinstance(given, dict):
        yield "no permissions of its own"
    else:
        yield from (f"may write {what}" for what, how in given.items() if how == "write" and name not in WRITE[what])
    if job.get("uses", "./").startswith("./") and "uses" in job:
        return
    if "timeout-minutes" not in job:
        yield "no timeout"
    for step in job["steps"]:
        yield from _of_step(step)


def _of_step(step):
    if "uses" in step:
        if not PINNED.match(step["uses"]):
            yield f"{step['uses']} is not pinned"
        if (
            step["uses"].startswith("actions/checkout@")
            and step.get("with", {}).get("persist-credentials") is not False
        ):
            yield "checkout keeps its token"
    if found := FOREIGN.search(step.get("run", "")):
        yield f"run holds {found[1]}"
