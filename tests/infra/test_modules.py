"""The modules beside infra/terraform: each is applied to an AWS on this machine, as far as that has the service."""

import json
import re
import shutil

import boto3
import pytest

from lockstep.lifecycle.retraining import github
from tests import ops
from tests.infra.conftest import OVERRIDE, Infra, local_plugins
from tests.infra.test_terraform import READ, call, network, written_too_wide

MODULES = ops.ROOT / "infra/modules"
NAMES = sorted(folder.name for folder in MODULES.iterdir())
LOG_STREAMS = "logs:CreateLogStream"
"""Streams of a named group, which end with a star."""

UNFIXED = {
    "CKV_AWS_158": "logs are encrypted by a key of AWS, as everything in infra/terraform",
    "CKV_AWS_378": "TLS ends at the load balancer",
}

PROVIDER = OVERRIDE.replace('"aws" {', f'"aws" {{\n  region = "{ops.REGION}"')


def test_files_are_formatted(terraform):
    done = ops.run(terraform, "fmt", "-check", "-diff", "-recursive", MODULES)
    assert done.returncode == 0, done.stdout


def test_checkov_finds_nothing_without_a_reason():
    command = ("-d", MODULES, "--framework", "terraform", "--skip-download", "--output", "json", "--compact")
    results = json.loads(ops.run(ops.tool("checkov"), *command).stdout)["results"]
    assert len(results["passed_checks"]) > 20
    assert {each["check_id"] for each in results["failed_checks"]} == {*UNFIXED}


@pytest.mark.parametrize("name", NAMES)
def test_policies_name_actions_and_resources(name):
    (content,) = json.loads(ops.run(ops.tool("python"), "-c", READ, MODULES / name / "main.tf").stdout)
    documents = [one["aws_iam_policy_document"] for one in content["data"] if "aws_iam_policy_document" in one]
    statements = [one for document in documents for body in document.values() for one in body["statement"]]
    named = [one for one in statements if "principals" not in one and LOG_STREAMS not in str(one["actions"])]
    assert named and [found for one in named if (found := written_too_wide(one))] == []


@pytest.fixture
def module(tmp_path, request):
    """Return a function that initialises a module with its variables; skipped without --long and without a provider."""
    if not request.config.getoption("long"):
        pytest.skip("--long makes it in a stand-in for AWS: `make check-infra ARGS=--long`")
    terraform, aws = request.getfixturevalue("terraform"), request.getfixturevalue("aws")

    def make(name, **variables):
        folder = tmp_path / name
        shutil.copytree(MODULES / name, folder)
        (folder / "provider.tf").write_text(PROVIDER)
        (folder / "own.auto.tfvars.json").write_text(json.dumps(variables))
        infra, plugins = Infra(folder, terraform, aws), local_plugins()
        done = infra("init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []), ok=False)
        if done.returncode:
            pytest.skip(f"no AWS provider for Terraform here: {' '.join(done.stderr.split())[:300]}")
        infra("validate")
        return infra

    return make


def applied(infra, forgotten=()):
    """Make a module, see that a second plan changes nothing but what moto forgets, and return the resources."""
    infra("apply", "-input=false", "-auto-approve")
    again = infra("plan", "-input=false", "-detailed-exitcode", ok=False)
    assert set(re.findall(r"# (\S+) will be", again.stdout)) == {*forgotten}, again.stdout
    assert again.returncode == (2 if forgotten else 0)
    return infra.resources()


def client(service, aws):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=aws["AWS_ENDPOINT_URL"], region_name=ops.REGION, **keys)


def test_new_data_in_s3_become_the_request_of_a_retraining(module, aws):
    """From the object to the text that GitHub gets; a queue stands where GitHub would, which moto does not call."""
    s3, events, sqs = (client(service, aws) for service in ("s3", "events", "sqs"))
    s3.create_bucket(Bucket="own-data")
    infra = module("data_events", bucket="own-data", repository="own/er", model="churn", token="secret")
    resources = applied(infra, forgotten=["aws_s3_bucket_notification.data"])
    destination = resources["aws_cloudwatch_event_api_destination.github"]
    assert destination["invocation_endpoint"] == "https://api.github.com/repos/own/er/dispatches"

    rule = resources["aws_cloudwatch_event_rule.data"]["name"]
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.remove_targets(Rule=rule, Ids=[target["Id"]])
    queue = sqs.create_queue(QueueName="requests")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    s3.put_object(Bucket="own-data", Key="other/rows.csv", Body=b"a")
    s3.put_object(Bucket="own-data", Key="data/2026-12.csv", Body=b"a")
    (event,) = received(sqs, queue)
    assert event["detail"]["object"]["key"] == "data/2026-12.csv"

    events.put_rule(Name="again", EventPattern='{"source": ["test"]}')  # moto transforms no events of its own
    events.put_targets(Rule="again", Targets=[target | {"Arn": arn}])
    detail = json.dumps(event["detail"])
    events.put_events(Entries=[{"Source": "test", "DetailType": event["detail-type"], "Detail": detail}])
    (body,) = received(sqs, queue)
    request = github.RetrainRequest("churn", "new data: s3://own-data/data/2026-12.csv", "data", "")
    assert body == {"event_type": github.EVENT, "client_payload": vars(request)}
    assert f"types: [{github.EVENT}]" in (ops.ROOT / ".github/workflows/retrain.yml").read_text()

    events.remove_targets(Rule="again", Ids=[target["Id"]])
    events.delete_rule(Name="again")
    events.remove_targets(Rule=rule, Ids=["q"])
    infra("destroy", "-auto-approve")
    assert events.list_rules()["Rules"] == []


def received(sqs, queue):
    """Take the messages out of a queue."""
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def test_the_rules_are_in_a_workspace_of_prometheus(module, aws):
    infra = module("monitoring", rules=str(ops.ROOT / "monitoring/rules"), grafana=False)  # moto has no Grafana
    resources = applied(infra)
    names = {values["name"] for where, values in resources.items() if "rule_group_namespace" in where}
    assert names == {"recording", "alerts"}
    assert json.loads(infra("output", "-json").stdout)["remote_write_url"]["value"].endswith("/api/v1/remote_write")
    infra("destroy", "-auto-approve")
    assert client("amp", aws).list_workspaces()["workspaces"] == []


def test_grafana_is_planned(module):
    infra = module("monitoring", rules=str(ops.ROOT / "monitoring/rules"))
    assert "aws_grafana_workspace.this[0]" in infra("plan", "-input=false").stdout


def test_the_app_runs_on_ecs(module, aws):
    place = network(aws)
    infra = module(
        "ecs",
        image=f"{ops.ACCOUNT}.dkr.ecr.{ops.REGION}.amazonaws.com/flask-app@sha256:{'a' * 64}",
        repository_arn=f"arn:aws:ecr:{ops.REGION}:{ops.ACCOUNT}:repository/flask-app",
        vpc_id=place["vpc_id"],
        subnet_ids=place["subnet_ids"],
        load_balancer_security_group=place["client_security_groups"][0],
        settings={"MLFLOW_TRACKING_URI": "https://mlflow.example.com"},
        secrets={"DATABASE_URL": f"arn:aws:secretsmanager:{ops.REGION}:{ops.ACCOUNT}:secret:database"},
    )
    applied(infra, forgotten=["aws_ecs_service.app"])
    (service,) = call(aws, "ecs", "list-services", "--cluster", "lockstep")["serviceArns"]
    assert service.endswith("/lockstep")
    infra("destroy", "-auto-approve")
    assert call(aws, "elbv2", "describe-target-groups")["TargetGroups"] == []
    found = call(aws, "ecs", "describe-clusters", "--clusters", "lockstep")["clusters"]
    assert [cluster for cluster in found if cluster["status"] == "ACTIVE"] == []
