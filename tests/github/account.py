"""What a deployment reaches, on this machine: AWS, registry of images, cluster with an app, tracking server, git."""

import base64
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import boto3

from tests import container_registry, ops
from tests.k8s.api_server import serving
from tests.k8s.cluster import DEPLOYMENTS, Cluster
from tests.pipeline.project import copy_project

REGIONS = ("us-east-1", "eu-central-1")
NAMES = {"cluster": "lockstep", "images": "flask-app", "bucket": "lockstep-dvc"}
ROLE = f"arn:aws:iam::{ops.ACCOUNT}:role"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@dataclass
class Account:
    """An account with all that docs/aws.md makes, in two regions; `passed` is what a job needs to come here."""

    folder: Path
    aws: str
    registry: container_registry.Regions
    api: object
    tracking: str
    passed: dict = field(default_factory=dict)

    def variables(self, region, **changes):
        """Return the repository's variables, as docs/aws.md lists them; the overlay is one without a load balancer."""
        return {
            "AWS_REGION": region, "AWS_CI_ROLE": f"{ROLE}/ci", "AWS_DEPLOY_ROLE": f"{ROLE}/deploy",
            "ECR_REPOSITORY": f"{ops.ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{NAMES['images']}",
            "EKS_CLUSTER": NAMES["cluster"], "DVC_REMOTE_URL": f"s3://{NAMES['bucket']}-{region}/lockstep",
            "MLFLOW_TRACKING_URI": self.tracking, "OVERLAY": "local",
        } | changes  # fmt: skip

    def prepare(self, region):
        """Make bucket, repository of images and cluster in a region."""
        s3, ecr, ec2, eks = (
            boto3.client(name, endpoint_url=self.aws, region_name=region, **KEYS)
            for name in ("s3", "ecr", "ec2", "eks")
        )
        own = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=f"{NAMES['bucket']}-{region}", **own)
        ecr.create_repository(repositoryName=NAMES["images"], imageTagMutability="IMMUTABLE")
        vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]

        def add(params, **_):
            """Put in what EKS says of the network, and no caller may give."""
            body = json.loads(params["body"])
            body["resourcesVpcConfig"]["vpcId"] = vpc
            params["body"] = json.dumps(body).encode()

        eks.meta.events.register("before-call.eks.CreateCluster", add)
        network = {"subnetIds": ["subnet-1", "subnet-2"]}
        eks.create_cluster(name=NAMES["cluster"], roleArn=f"{ROLE}/eks", resourcesVpcConfig=network)

    def running(self):
        """Return the image of the Deployment, None before the first."""
        found = self.api.cluster.get(DEPLOYMENTS, "lockstep", "flask-app")
        return found and found["spec"]["template"]["spec"]["containers"][0]["image"]

    def state(self):
        """Return what a deployment changes: tags of images, and the objects of the cluster but for their status."""
        objects = {key: each.get("spec") or each.get("data") for key, each in self.api.cluster.objects.items()
                   if key[0][1] not in ("pods", "events", "replicasets")}  # fmt: skip
        return {"images": self.registry.state(), "cluster": objects}


@contextlib.contextmanager
def opened(folder, app_port, tracking, engine):
    """Yield an account with all of its parts; `engine` is the folder of the docker to use."""
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(container_registry.ecr(folder, *REGIONS))
        api = stack.enter_context(serving(Cluster()))
        api.app_port = app_port
        authority = base64.b64encode((folder / "tls.crt").read_bytes()).decode()
        aws = stack.enter_context(ops.moto(folder, EKS_ENDPOINT=api.url, EKS_AUTHORITY=authority))
        account = Account(folder, aws, registry, api, tracking)
        tools = folder / "bin"
        tools.mkdir()
        (tools / "aws").symlink_to(ops.tool("aws"))
        path = os.pathsep.join((str(engine), str(tools), os.environ["PATH"]))
        account.passed = registry.environment | {
            "AWS_ENDPOINT_URL": aws, "AWS_EC2_METADATA_DISABLED": "true", "DVC_REMOTE_ENDPOINT": aws, "PATH": path,
            "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
            "KUBECTL": shutil.which("kubectl") or "", "DOCKER_STANDIN": str(folder / "docker"),
        }  # fmt: skip
        (folder / "docker").mkdir()
        for region in REGIONS:
            account.prepare(region)
        yield account


class Repository:
    """A project in a clone of a bare repository, whose workflows run by scripts/ci_local.py."""

    def __init__(self, account, project, folder):
        self.account, self.project, self.bare = account, project, folder / "bare.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", self.bare], check=True)
        project.run("git", "remote", "add", "origin", str(self.bare))
        project.run("git", "push", "--quiet", "origin", "HEAD:main")

    def run(self, *words, region=REGIONS[0], environment=None, secrets=None):
        """Run workflows as a runner of GitHub would, and return the process."""
        passed = self.account.passed | (environment or {})
        variables = {name: value for name, value in self.account.variables(region).items() if value}
        options = [word for name in passed if name != "PATH" for word in ("--pass", name)]
        options += [word for name in secrets or {} for word in ("--secret", name)]
        options += [word for name, value in variables.items() for word in ("--var", f"{name}={value}")]
        command = [
            sys.executable,
            "-m",
            "scripts.ci_local",
            "--caches",
            "--venv",
            str(ops.ROOT / ".venv"),
            "--remote",
            self.bare.as_uri(),
            *options,
            *words,
        ]
        kept = {"HOME": os.environ["HOME"], "PYTHONPATH": str(self.project.root)}
        return subprocess.run(
            command, cwd=self.project.root, env=kept | passed | (secrets or {}), capture_output=True, text=True
        )


def example(folder, account):
    """Make the project of the example, whose data are public, as it stands in this repository."""
    project = copy_project(folder / "work")
    shutil.copy(ops.ROOT / "examples/breast-cancer.yaml", project.root / "params.yaml")
    project.commit("example")
    return project


def own(folder, account):
    """Make a project with data of its own under DVC, trained where they are, and pushed to the bucket."""
    project = copy_project(folder / "work")
    dice = random.Random(3)
    rows = [(dice.gauss(0, 1), dice.gauss(0, 1), dice.choice("abc")) for _ in range(600)]
    lines = [
        f"{x:.4f},{y:.4f},{kind},{'yes' if x + (kind == 'a') + dice.gauss(0, 0.5) > 0.3 else 'no'}"
        for x, y, kind in rows
    ]
    (folder / "churn.csv").write_text("\n".join(["age,income,plan,left", *lines, ""]))
    project.lockstep("init", str(folder / "churn.csv"), "--target", "left", "--name", "churn", "--force")
    project.commit("churn")
    region = REGIONS[0]
    project.settings |= {name: account.passed[name] for name in ("AWS_ENDPOINT_URL", "DVC_REMOTE_ENDPOINT", "NO_PROXY")}
    project.settings |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": region}
    project.run("scripts/remote", account.variables(region)["DVC_REMOTE_URL"])
    project.repro()
    for each in REGIONS:  # a bucket for each, which has the data
        project.settings["AWS_REGION"] = each
        project.run("scripts/remote", account.variables(each)["DVC_REMOTE_URL"])
        project.run("dvc", "push")
    project.commit("train")
    return project
