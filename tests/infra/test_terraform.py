"""infra/terraform, read as text and made against an AWS on this machine."""

import json

import boto3
import pytest
import yaml

from tests import ops
from tests.infra.conftest import SOURCE
from tests.infra.policies import too_wide, trusts_too_many, written_too_wide

READ = "import hcl2, json, sys; print(json.dumps([hcl2.load(open(name)) for name in sys.argv[1:]]))"
IAM = (
    "aws_iam_role_policy.train",
    "aws_iam_role_policy.deploy",
    "aws_iam_role_policy.pods",
    "aws_iam_role_policy.secrets",
    "aws_iam_role_policy.mlflow",
)


def test_files_are_formatted(terraform):
    done = ops.run(terraform, "fmt", "-check", "-diff", SOURCE)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def written():
    """Every block of a kind, read without Terraform."""
    done = ops.run(ops.tool("python"), "-c", READ, *sorted(SOURCE.glob("*.tf")))
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)
    return lambda *kinds: [entry for file in files for kind in kinds for entry in file.get(kind, [])]


def test_every_variable_and_output_says_what_it_is(written):
    found = written("variable", "output")
    assert len(found) > 15
    assert [name for entry in found for name, body in entry.items() if not body.get("description")] == []


def test_s26_no_state_and_no_lock_of_a_local_folder_is_in_git():
    listed = ops.run("git", "ls-files", "infra").stdout.split()
    assert "infra/terraform/buckets.tf" in listed
    assert [name for name in listed if "tfstate" in name or "tfvars" in name] == []
    locks = [ops.ROOT / name for name in listed if name.endswith(".terraform.lock.hcl")]
    assert [str(path) for path in locks if "zh:" not in path.read_text(encoding="utf-8")] == []


def test_s31_checkov_finds_nothing_without_a_written_reason():
    command = ("-d", SOURCE, "--framework", "terraform", "--skip-download", "--output", "json", "--compact")
    done = ops.run(ops.tool("checkov"), *command)
    found = json.loads(done.stdout)["results"]
    reasons = yaml.safe_load((ops.ROOT / "infra/checkov.yaml").read_text(encoding="utf-8"))
    assert len(found["passed_checks"]) > 100
    assert {one["check_id"] for one in found["failed_checks"]} == set(reasons)
    assert [name for name, reason in reasons.items() if len(reason.split()) < 5] == []


def test_s31_what_is_written_names_actions_and_resources(written):
    documents = [one["aws_iam_policy_document"] for one in written("data") if "aws_iam_policy_document" in one]
    statements = [one for document in documents for body in document.values() for one in body["statement"]]
    assert len(statements) > 10
    assert [found for one in statements if (found := written_too_wide(one))] == []


def test_a_subject_that_is_too_wide_and_a_wrong_name_are_refused(infra):
    infra.set(train_subjects=["repo:own/*:ref:refs/heads/main"], deploy_subjects=[], name="Lock_step")
    done = infra("plan", "-input=false", "-refresh=false", ok=False)
    said = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == 1
    assert [word in said for word in ("without * or ?", "At least one subject", "Lower-case letters")] == [True] * 3


def test_s31_roles_may_do_what_is_named_and_are_taken_by_whom_they_are_for(infra):
    infra.set()
    infra("apply", "-input=false", "-auto-approve", *(f"-target={one}" for one in IAM))
    made = infra.resources()
    policies = {where: json.loads(values["policy"]) for where, values in made.items() if "role_policy" in where}
    trusts = {
        w: json.loads(values["assume_role_policy"]) for w, values in made.items() if w.startswith("aws_iam_role.")
    }
    assert (len(policies), len(trusts)) == (6, 5)
    assert {where: found for where, policy in policies.items() if (found := too_wide(policy))} == {}
    assert {where: found for where, policy in trusts.items() if (found := trusts_too_many(policy))} == {}


def test_apply_then_no_change_then_destroy(infra, aws):
    infra.set(database=network(aws))
    infra("apply", "-input=false", "-auto-approve")
    outputs = {name: one["value"] for name, one in json.loads(infra("output", "-json").stdout).items()}
    assert outputs["repository_url"] == f"{ops.ACCOUNT}.dkr.ecr.{ops.REGION}.amazonaws.com/flask-app"
    assert outputs["database"]["port"] == 5432
    assert infra("plan", "-input=false", "-detailed-exitcode", ok=False).returncode == 0

    bucket = outputs["dvc_bucket"]
    call(aws, "s3api", "delete-bucket-policy", "--bucket", bucket)  # moto takes its Deny for any connection
    call(aws, "s3api", "put-object", "--bucket", bucket, "--key", "files/md5/00")
    refused = infra("destroy", "-auto-approve", '-target=aws_s3_bucket.this["dvc"]', ok=False)
    assert (refused.returncode, "BucketNotEmpty" in refused.stderr) == (1, True)
    infra.set(database=network(aws), force_destroy=True)
    infra("apply", "-input=false", "-auto-approve", "-refresh=false")
    infra("destroy", "-auto-approve")
    left = [one["Name"] for one in call(aws, "s3api", "list-buckets")["Buckets"]]
    assert [name for name in left if name.startswith(("lockstep-dvc", "lockstep-artifacts"))] == []
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    rds = boto3.client("rds", endpoint_url=aws["AWS_ENDPOINT_URL"], region_name=ops.REGION, **keys)
    assert rds.describe_db_instances()["DBInstances"] == []


def network(aws):
    """Return the network of a database: that which the account has from the start."""
    vpc = call(aws, "ec2", "describe-vpcs")["Vpcs"][0]["VpcId"]
    subnets = call(aws, "ec2", "describe-subnets")["Subnets"][:2]
    (group, *_) = call(aws, "ec2", "describe-security-groups")["SecurityGroups"]
    own = [subnet["SubnetId"] for subnet in subnets]
    return {"vpc_id": vpc, "subnet_ids": own, "client_security_groups": [group["GroupId"]]}


def call(aws, *words):
    done = ops.run(ops.tool("aws"), *words, "--output", "json", env=aws)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")
