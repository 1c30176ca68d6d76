"""scripts/eks: the configuration for eksctl, and the facts of a cluster on moto as values of manifests."""

import json
import os

import boto3
import pytest
import yaml

from tests import ops
from tests.k8s import checks
from tests.k8s.conftest import OTHER, image, running
from tests.k8s.objects import ROOT

REGION = "eu-central-1"
HOST = "models.test"
RANGES = ["10.20.0.0/16", "100.64.0.0/16"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An account in which the cluster `lockstep` stands in a VPC of two ranges, as the environment of a command."""
    with ops.moto(tmp_path_factory.mktemp("moto")) as address:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        ec2 = boto3.client("ec2", endpoint_url=address, region_name=REGION, **keys)
        vpc = ec2.create_vpc(CidrBlock=RANGES[0])["Vpc"]["VpcId"]
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=RANGES[1])
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=REGION + zone)
            for number, zone in enumerate("ab")
        ]
        network = {"subnetIds": [each["Subnet"]["SubnetId"] for each in subnets]}
        group = ec2.create_security_group(GroupName="pods", Description="pods", VpcId=vpc)["GroupId"]
        make_cluster(address, REGION, "lockstep", network, {"vpcId": vpc, "clusterSecurityGroupId": group})
        env = ops.environment(address, AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION, EKS_CLUSTER="lockstep")
        yield env | {"API_CIDRS": "198.51.100.7/32", "APP_HOST": HOST}, vpc, network["subnetIds"]


def make_cluster(address, region, name, network, known):
    """Make a cluster on moto, with `known`: what EKS says of its network, and no caller may give."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    eks = boto3.client("eks", endpoint_url=address, region_name=region, **keys)

    def add(params, **_):
        body = json.loads(params["body"])
        body["resourcesVpcConfig"] |= known
        params["body"] = json.dumps(body).encode()

    eks.meta.events.register("before-call.eks.CreateCluster", add)
    eks.create_cluster(name=name, roleArn="arn:aws:iam::123456789012:role/cluster", resourcesVpcConfig=network)


def eks(env, *words):
    return ops.run(ROOT / "scripts/eks", *words, env=env)


def test_the_configuration_has_region_account_and_addresses_of_the_environment(place):
    env, *_ = place
    done = eks(env | {"API_CIDRS": "198.51.100.7/32, 203.0.113.0/24"}, "config")
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load(done.stdout)
    assert config["metadata"]["region"] == REGION
    assert config["vpc"]["publicAccessCIDRs"] == ["198.51.100.7/32", "203.0.113.0/24"]
    roles = [each["roleARN"] for each in config["iam"]["podIdentityAssociations"] if "roleARN" in each]
    assert roles == [f"arn:aws:iam::{ops.ACCOUNT}:role/lockstep-{each}" for each in ("pods", "mlflow", "secrets")]
    assert config["metadata"]["version"] in ("1.35", "1.36", "1.37")
    other = yaml.safe_load(eks(env | {"EKS_CLUSTER": "lockstep-dev", "KUBERNETES_VERSION": "1.37"}, "config").stdout)
    assert (other["metadata"]["name"], other["metadata"]["version"]) == ("lockstep-dev", "1.37")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_REGION": ""}, "AWS_REGION is not set"),
        ({"API_CIDRS": "here"}, "API_CIDRS: 'here' does not appear"),
        ({"EKS_CLUSTER": "moon"}, "aws eks describe-cluster:"),
    ],
)
def test_what_is_missing_is_named_with_a_hint(place, variables, said):
    done = eks(place[0] | variables, "component" if "EKS_CLUSTER" in variables else "config")
    assert done.returncode == 1
    assert said in done.stderr and "hint: " in done.stderr


def test_eksctl_gets_the_configuration_on_standard_input(place, tmp_path):
    (tmp_path / "eksctl").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\ncat > {tmp_path}/stdin\n')
    (tmp_path / "helm").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/chart\n')
    for name in ("eksctl", "helm"):
        (tmp_path / name).chmod(0o755)
    env = place[0] | {"PATH": f"{tmp_path}{os.pathsep}{place[0]['PATH']}"}
    done = eks(env, "create")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "words").read_text() == "create cluster --config-file -\n"
    assert yaml.safe_load((tmp_path / "stdin").read_text())["metadata"]["region"] == REGION
    assert (
        f"--set clusterName=lockstep --set region={REGION} --set vpcId={place[1]}" in (tmp_path / "chart").read_text()
    )


def test_the_database_stands_in_the_private_subnets_of_the_cluster(place):
    env, vpc, subnets = place
    done = eks(env, "network")
    assert done.returncode == 0, done.stderr
    database = json.loads(done.stdout)["database"]
    assert (database["vpc_id"], database["subnet_ids"]) == (vpc, sorted(subnets))
    assert len(database["client_security_groups"]) == 1


@pytest.mark.parametrize("extra", ["external-secrets", "network-load-balancer"])
def test_the_component_completes_the_manifests(place, kubectl, tmp_path, extra):
    certificate = f"arn:aws:acm:{REGION}:{ops.ACCOUNT}:certificate/1"
    done = eks(place[0] | {"CERTIFICATE_ARN": certificate}, "component")
    assert done.returncode == 0, done.stderr
    k8s = os.path.relpath(ROOT / "k8s", tmp_path.resolve())
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster/kustomization.yaml").write_text(done.stdout)
    chosen = {"resources": [f"{k8s}/overlays/production"], "components": [f"{k8s}/components/{extra}", "cluster"]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(chosen))
    rendered = ops.run(kubectl, "kustomize", tmp_path)
    assert rendered.returncode == 0, rendered.stderr
    assert not {"VPC-RANGE", "AWS-REGION", "app-host.invalid"} & {*rendered.stdout.split()}
    objects = list(yaml.safe_load_all(rendered.stdout))
    assert checks.faults(objects) == []
    (policy,) = [each for each in objects if each["metadata"].get("labels", {}).get("lockstep/peers") == "vpc"][:1]
    assert [one["ipBlock"]["cidr"] for one in policy["spec"]["ingress"][0]["from"]] == RANGES
    stores = [each["spec"]["provider"]["aws"]["region"] for each in objects if each["kind"] == "SecretStore"]
    assert stores == ([REGION] if extra == "external-secrets" else [])
    (ingress,) = [each for each in objects if each["kind"] == "Ingress"] or [None]
    if ingress:
        assert ingress["spec"]["rules"][0]["host"] == HOST
        assert ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/certificate-arn"] == certificate
    assert (ingress is None) == (extra == "network-load-balancer")


def test_an_overlay_of_eks_without_its_cluster_is_refused(script, api, tmp_path):
    api.kubeconfig(tmp_path / "kubeconfig")
    done = script("deploy", "--image", OTHER, "--overlay", "production")
    assert done.returncode == 1
    assert "only the cluster says what it is" in done.stderr or "APP_HOST is not set" in done.stderr
    assert api.writes == []


@pytest.mark.long("deploys to two environments")
def test_the_same_digest_moves_on_and_no_half_rolled_one(redeploy, api, script, app):
    """From a cluster to itself, since there is one stand-in: what --from reads is what is applied."""
    done = redeploy("", "--from", "stand-in", "--context", "stand-in", name="deploy")
    assert done.returncode == 0, done.stderr
    assert running(api) == image("a")
    api.cluster.bad.add(OTHER)
    redeploy(OTHER, "--no-smoke", "--timeout", "2s")
    kept = api.cluster.get(("apps/v1", "deployments"), "lockstep", "flask-app")
    kept["spec"]["template"]["spec"]["containers"][0]["image"] = image("c")
    api.cluster.put(("apps/v1", "deployments"), kept)
    done = redeploy("", "--from", "stand-in", "--context", "stand-in", name="deploy")
    assert done.returncode == 1
    assert "no image of stand-in can move on" in done.stderr
