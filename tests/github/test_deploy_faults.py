"""Planted faults of a deployment: each ends in one line that says what to do, and leaves nothing half-deployed.

A row runs the steps of the job `production` of deploy.yml, as the YAML has them, from one step on; what the steps
before it leave is there. After it, the tags of the registry and the objects of the cluster are what they were.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from scripts import ci_local, workflow_actions
from tests import container_registry, ops
from tests.github import account as standins
from tests.k8s.cluster import DEPLOYMENTS

pytestmark = [pytest.mark.server, pytest.mark.pipeline, pytest.mark.long("plants faults into deploy.yml")]
REGION, ELSEWHERE = standins.REGIONS[0], "ap-south-1"
HOST = f"{ops.ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
CHECK, DATA, PROMOTE, BUILD, PUSH, ROLL_OUT = (
    "preflight",
    "pull-data",
    "promote",
    "make image",
    "push)",
    "scripts/deploy",
)
"""A part of the command of the step with which a row begins."""

ALWAYS = ("actions/setup-python", "aws-actions/configure-aws-credentials")
PREPARED = ("actions/checkout", "make setup")
CLOSED = "http://127.0.0.1:9"
NEW = f"{HOST}/flask-app@sha256:{'e' * 64}"


@dataclass
class Fault:
    """Variables of the repository and of the runner that differ, a change of the surroundings, and what it leads to."""

    problem: str
    step: str = CHECK
    variables: dict = field(default_factory=dict)
    runner: dict = field(default_factory=dict)
    plant: object = lambda case: None
    lines: int = 1


class Production:
    """The job `production` in a folder of its own, with the variables of the repository and of the runner."""

    def __init__(self, account, folder, fault, prepared=None):
        self.account, self.fault = account, fault
        given = account.variables(REGION) | fault.variables
        variables = {name: value for name, value in given.items() if value}
        self.repository = ci_local.Repository(
            variables, {}, "push", {}, account.passed | fault.runner, commit(prepared) if prepared else "", "main",
            "", False, str(ops.ROOT / ".venv"),
        )  # fmt: skip
        spec = yaml.safe_load((ops.ROOT / ".github/workflows/deploy.yml").read_text())["jobs"]["production"]
        steps = [step for step in spec["steps"] if not str(step.get("uses", step.get("run"))).startswith(PREPARED)]
        (first,) = [number for number, step in enumerate(steps) if fault.step in step.get("run", "")]
        kept = [step for step in steps[:first] if str(step.get("uses")).startswith(ALWAYS)]
        self.job = ci_local.Job("production", spec | {"steps": kept + steps[first:]}, folder, self.repository)
        self.job.steps["push"] = {"outputs": {"image": NEW}}
        self.clone = self.job.clone
        if prepared:
            shutil.copytree(
                prepared, self.clone, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".venv")
            )
            workflow_actions.link_environment(self.job, ops.ROOT / ".venv")

    def run(self):
        return self.job.run(self.repository.contexts() | {"needs": {}, "matrix": {}})

    def image(self, **changes):
        """Change the image that the build has left in the engine."""
        path = self.account.folder / "docker/flask-app_local.json"
        content = json.loads(path.read_text())
        labels = {name: value for name, value in changes.items() if name not in content}
        content |= {name: value for name, value in changes.items() if name in content}
        content["Config"]["Labels"] |= labels
        path.write_text(json.dumps(content))

    def commit(self):
        """Make a commit, whose tag is free, and an image of it."""
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], cwd=self.clone, check=True)
        self.image(**{"org.opencontainers.image.revision": commit(self.clone)})

    def switch(self, name, text=""):
        """Set a fault of the stand-in of Docker."""
        (self.account.folder / "docker" / name).write_text(text)

    def edit(self, name, old, new):
        path = self.clone / name
        text = path.read_text()
        assert old in text, (name, text)
        path.write_text(text.replace(old, new, 1))

    def without(self, tool):
        """Take a tool out of the runner."""
        folder = self.account.folder / f"without-{tool}"
        folder.mkdir(exist_ok=True)
        (folder / tool).unlink(missing_ok=True)
        for place in self.repository.environment["PATH"].split(os.pathsep):
            for path in sorted(Path(place).glob("*")):
                if path.name != tool and not (folder / path.name).exists():
                    (folder / path.name).symlink_to(path)
        self.repository.environment["PATH"] = str(folder)


def commit(folder):
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def argo(case):
    kept = case.account.api.cluster.get(DEPLOYMENTS, "lockstep", "flask-app")
    kept["metadata"].setdefault("annotations", {})["argocd.argoproj.io/tracking-id"] = "lockstep:apps/Deployment"
    case.account.api.cluster.put(DEPLOYMENTS, kept)


def other_token(case):
    """Let AWS give a password that the registry does not take, as one that has expired."""
    aws = case.account.folder / "expired/aws"
    aws.parent.mkdir(exist_ok=True)
    aws.write_text(f'#!/bin/sh\n[ "$2" = get-login-password ] && echo expired || exec {ops.BIN}/aws "$@"\n')
    aws.chmod(0o755)
    case.repository.environment["PATH"] = f"{aws.parent}{os.pathsep}{case.repository.environment['PATH']}"


def refuse(case):
    case.account.api.allowed = False


def under_dvc(case):
    """Let the source be a file under DVC, which no remote has."""
    case.edit("params.yaml", "source: sklearn:breast_cancer", "source: data/external/table.csv")
    text = "outs:\n- md5: 00000000000000000000000000000000\n  size: 9\n  hash: md5\n  path: table.csv\n"
    (case.clone / "data/external/table.csv.dvc").write_text(text)


def nowhere(case):
    case.edit("params.yaml", "source: sklearn:breast_cancer", "source: data/external/table.csv")


def gate(case):
    case.edit("params.yaml", "roc_auc: 0.98", "roc_auc: 0.9999")
    case.edit("params.yaml", "    - {estimator: logistic_regression, grid: {C: [0.03, 0.1, 0.3, 1.0, 3.0]}}\n", "")


def mute(case):
    case.account.app.silent = lambda: True


def deny(case):
    case.account.api.refused = {"networkpolicies"}


FAULTS = {
    "no region": Fault("the variable AWS_REGION is not set", variables={"AWS_REGION": ""}),
    "wrong region": Fault(f"there is no cluster lockstep in {ELSEWHERE}", variables={"AWS_REGION": ELSEWHERE}),
    "STS out of reach": Fault("Could not connect to the endpoint URL", runner={"AWS_ENDPOINT_URL": CLOSED}),
    "no address of images": Fault("ECR_REPOSITORY is not set", variables={"ECR_REPOSITORY": ""}),
    "address of another registry": Fault("is no repository of ECR", variables={"ECR_REPOSITORY": "docker.io/own/er"}),
    "address with a tag": Fault("is no repository of ECR", variables={"ECR_REPOSITORY": f"{HOST}/flask-app:1"}),
    "no such repository": Fault("RepositoryNotFoundException", variables={"ECR_REPOSITORY": f"{HOST}/flask"}),
    "repository of another region": Fault(
        "RepositoryNotFoundException", variables={"ECR_REPOSITORY": f"{HOST.replace(REGION, ELSEWHERE)}/flask-app"}
    ),
    "registry down": Fault(f"the registry {HOST} does not answer", plant=lambda case: case.account.registry.stop()),
    "no way to the registry": Fault(f"the registry {HOST} does not answer", runner={"https_proxy": CLOSED}),
    "certificate of another": Fault(
        "CERTIFICATE_VERIFY_FAILED", runner={"SSL_CERT_FILE": container_registry.AUTHORITIES}
    ),
    "expired token": Fault(f"{HOST} answers 401", plant=other_token),
    "no engine": Fault("no Docker engine answers", plant=lambda case: case.switch("no-engine")),
    "no kubectl": Fault("kubectl is not installed", plant=lambda case: case.without("kubectl")),
    "no context of kubectl": Fault("the cluster does not answer", variables={"EKS_CLUSTER": ""}),
    "no such cluster": Fault("there is no cluster lockstop in", variables={"EKS_CLUSTER": "lockstop"}),
    "no right to deploy": Fault("you may not change deployments", plant=refuse),
    "Argo CD keeps the app": Fault("Argo CD", plant=argo),
    "no DVC remote": Fault("no DVC remote is set", variables={"DVC_REMOTE_URL": ""}),
    "no bucket": Fault("nothing is stored at s3://none/x", DATA, variables={"DVC_REMOTE_URL": "s3://none/x"}),
    "closed port of the bucket": Fault("nothing is stored at s3://", DATA, runner={"DVC_REMOTE_ENDPOINT": CLOSED}),
    "data missing": Fault("table.csv could not be pulled from", DATA, plant=under_dvc),
    "data nowhere": Fault("table.csv is neither in git nor under DVC", DATA, plant=nowhere),
    "a key that is none": Fault(
        "params.yaml",
        DATA,
        plant=lambda case: case.edit("params.yaml", "data_ingestion:", "data_ingestion:\n  sauce: 1"),
    ),
    "gate refuses": Fault("is refused: roc_auc is", DATA, plant=gate),
    "no tracking server": Fault("127.0.0.1:9", PROMOTE, variables={"MLFLOW_TRACKING_URI": CLOSED}),
    "disk full in the build": Fault("no space left on device", BUILD, plant=lambda case: case.switch("no-space")),
    "tag taken": Fault(
        "holds another image", PUSH, plant=lambda case: case.image(**{"lockstep.content.sha256": "0" * 64})
    ),
    "image of another architecture": Fault(
        "is for linux/arm64", PUSH, plant=lambda case: case.image(Architecture="arm64")
    ),
    "image of another commit": Fault(
        "was built from the commit",
        PUSH,
        plant=lambda case: case.image(**{"org.opencontainers.image.revision": "9" * 40}),
    ),
    "quota": Fault(
        "LimitExceededException", PUSH, plant=lambda case: (case.commit(), case.switch("quota", "maximum of images"))
    ),
    "connection lost in the push": Fault(
        "connection reset", PUSH, plant=lambda case: (case.commit(), case.switch("broken"))
    ),
    "rollout never ready": Fault(
        "did not become ready; undone", ROLL_OUT, plant=lambda case: case.account.api.cluster.bad.add(NEW)
    ),
    "smoke test fails": Fault("do not answer right; undone", ROLL_OUT, plant=mute, lines=2),
    "a policy refuses": Fault("the cluster refused a manifest; undone", ROLL_OUT, plant=deny),
    "no image": Fault("--image needs a value", ROLL_OUT, plant=lambda case: case.job.steps.clear()),
}


@pytest.fixture(scope="module", autouse=True)
def runs(tmp_path_factory):
    """Keep artifacts out of the folder of this project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow_actions, "RUNS", tmp_path_factory.mktemp("runs"))
        yield


@pytest.fixture(scope="module")
def prepared(account, tmp_path_factory):
    """A clone in which the job has passed once, so that the cluster serves its image."""
    folder = tmp_path_factory.mktemp("prepared")
    project = standins.example(folder, account)
    production = Production(account, folder / "job", Fault("", CHECK), project.root)
    result = production.run()
    assert result.outcome == "success", result.reason
    assert account.running().startswith(HOST)
    return production.clone


@pytest.fixture
def surroundings(account):
    """Put back what rows change."""
    cluster, engine = standins.Cluster(), account.folder / "docker"
    cluster.restore(account.api.cluster)
    images = {path: path.read_text() for path in engine.glob("*.json")}
    yield account
    account.api.allowed, account.api.refused, account.app.silent = True, set(), lambda: False
    account.api.cluster.bad.clear()
    account.api.cluster.restore(cluster)
    for name in ("no-engine", "no-space", "quota", "broken"):
        (engine / name).unlink(missing_ok=True)
    for path, text in images.items():
        path.write_text(text)
    if not account.registry.is_running():
        account.registry.start()


def test_there_are_at_least_thirty():
    assert len(FAULTS) >= 30


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_line_and_nothing_is_half_deployed(prepared, surroundings, tmp_path, capfd, fault):
    case = Production(surroundings, tmp_path, fault, prepared)
    fault.plant(case)
    before = surroundings.state()
    result = case.run()
    text = capfd.readouterr().out
    assert result.outcome == "failure", text[-3000:]
    errors = re.findall(r"^(?:error|[\w-]+): .*\n +hint: .*", text, re.MULTILINE) or [result.reason]
    assert len(errors) == fault.lines, text[-3000:]
    assert fault.problem in errors[-1], text[-3000:]
    assert "Traceback" not in text
    assert surroundings.state() == before
