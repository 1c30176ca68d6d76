"""The cluster that eksctl makes (S36), and what of it the manifests know."""

import copy
import json
import re
from string import Template

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.k8s.checks import NAMESPACE
from tests.k8s.objects import ROOT

VALUES = {
    "NAME": "lockstep",
    "REGION": "eu-central-1",
    "ACCOUNT": "123456789012",
    "PARTITION": "aws",
    "VERSION": "1.36",
    "API_CIDRS": '["198.51.100.7/32"]',
}
CLUSTER = yaml.safe_load(Template((ROOT / "k8s/eksctl/cluster.yaml").read_text()).substitute(VALUES))
SCHEMA = ROOT.parent / "shared/schemas/eksctl-v1alpha5.schema.json"
EVERYWHERE = ("0.0.0.0/0", "::/0")


def endpoint(cluster):
    """The API is reached from the cluster's own network, and from outside by a list of addresses or by nobody."""
    vpc = cluster["vpc"]
    if not vpc.get("clusterEndpoints", {}).get("privateAccess"):
        yield "the nodes reach the API through the Internet"
    open_to = vpc.get("publicAccessCIDRs", EVERYWHERE)
    if vpc.get("clusterEndpoints", {}).get("publicAccess", True) and {*EVERYWHERE} & {*open_to}:
        yield "everybody reaches the API"


def nodes(cluster):
    """Nodes are managed, private and encrypted, and give no pod their credentials."""
    if cluster.get("nodeGroups") or not cluster.get("managedNodeGroups"):
        yield "nodes are not managed"
    for group in cluster.get("managedNodeGroups", []):
        for key in ("privateNetworking", "disableIMDSv1", "disablePodIMDS", "volumeEncrypted"):
            if group.get(key) is not True:
                yield f"{group['name']}: {key} is not set"


def addons(cluster):
    """Network policies are obeyed, pod identity is there, and metrics-server for the autoscaler."""
    own = {each["name"]: each for each in cluster["addons"]}
    wanted = {"vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent", "metrics-server"}
    yield from (f"no addon {each}" for each in sorted(wanted - own.keys()))
    if json.loads(own.get("vpc-cni", {}).get("configurationValues", "{}")).get("enableNetworkPolicy") != "true":
        yield "network policies are stored and not obeyed"


def access(cluster):
    """CI may change one namespace, and pods get a role by their service account."""
    entries = cluster["accessConfig"].get("accessEntries", [])
    scopes = [policy["accessScope"] for entry in entries for policy in entry.get("accessPolicies", [])]
    if not scopes:
        yield "CI has no access entry"
    if any(scope != {"type": "namespace", "namespaces": [NAMESPACE]} for scope in scopes):
        yield "CI may do more than change one namespace"
    if cluster["accessConfig"].get("authenticationMode") != "API":
        yield "access is also given by a ConfigMap"
    pods = {
        (each["namespace"], each["serviceAccountName"]) for each in cluster["iam"].get("podIdentityAssociations", [])
    }
    if (NAMESPACE, "flask-app") not in pods:
        yield "pods have no identity"


CHECKS = (endpoint, nodes, addons, access)


def faults(cluster):
    return [fault for check in CHECKS for fault in check(cluster)]


def test_s36_the_cluster_is_closed():
    assert faults(CLUSTER) == []


def group(cluster):
    return cluster["managedNodeGroups"][0]


def policy(cluster):
    return cluster["accessConfig"]["accessEntries"][0]["accessPolicies"][0]


FAULTS = {
    "everybody reaches the API": lambda c: c["vpc"].pop("publicAccessCIDRs"),
    "the nodes reach the API through the Internet": lambda c: c["vpc"]["clusterEndpoints"].update(privateAccess=False),
    "nodes are not managed": lambda c: c.update(nodeGroups=[{"name": "own"}]),
    "workers: disableIMDSv1 is not set": lambda c: group(c).pop("disableIMDSv1"),
    "workers: disablePodIMDS is not set": lambda c: group(c).update(disablePodIMDS=False),
    "workers: privateNetworking is not set": lambda c: group(c).pop("privateNetworking"),
    "workers: volumeEncrypted is not set": lambda c: group(c).pop("volumeEncrypted"),
    "no addon eks-pod-identity-agent": lambda c: c["addons"].remove({"name": "eks-pod-identity-agent"}),
    "network policies are stored and not obeyed": lambda c: c["addons"][0].pop("configurationValues"),
    "CI has no access entry": lambda c: c["accessConfig"].pop("accessEntries"),
    "CI may do more than change one namespace": lambda c: policy(c).update(accessScope={"type": "cluster"}),
    "access is also given by a ConfigMap": lambda c: c["accessConfig"].update(authenticationMode="API_AND_CONFIG_MAP"),
    "pods have no identity": lambda c: c["iam"].pop("podIdentityAssociations"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_s36_each_fault_is_found(fault):
    cluster = copy.deepcopy(CLUSTER)
    FAULTS[fault](cluster)
    assert fault in faults(cluster)


@pytest.fixture(scope="module")
def validator():
    if not SCHEMA.is_file():
        pytest.skip(f"{SCHEMA.name} is not in ../shared/schemas: k8s/eksctl is NOT held against eksctl's schema")
    return Draft7Validator(json.loads(SCHEMA.read_text()))


def test_eksctl_takes_the_file(validator):
    assert [error.message for error in validator.iter_errors(CLUSTER)] == []
    wrong = copy.deepcopy(CLUSTER)
    group(wrong)["disableImdsV1"] = True
    assert "disableImdsV1" in str([error.message for error in validator.iter_errors(wrong)])


def test_support_ends_with_an_upgrade_and_not_with_a_charge():
    assert CLUSTER["upgradePolicy"] == {"supportType": "STANDARD"}


def test_the_controller_of_load_balancers_may_make_them():
    (own,) = [each for each in CLUSTER["iam"]["podIdentityAssociations"] if each["namespace"] == "kube-system"]
    assert own["serviceAccountName"] == "aws-load-balancer-controller"
    assert own["wellKnownPolicies"] == {"awsLoadBalancerController": True}


def test_every_policy_for_the_network_of_the_cluster_waits_for_its_ranges():
    """`scripts/eks component` patches what has the label; scripts/deploy refuses manifests with the word in them."""
    files = [path for path in sorted((ROOT / "k8s").rglob("*.yaml")) if "VPC-RANGE" in path.read_text()]
    assert {path.parent.name for path in files} == {"ingress", "network-load-balancer"}
    for path in files:
        each = yaml.safe_load(path.read_text())
        assert each["metadata"]["labels"] == {"lockstep/peers": "vpc"}
        assert each["spec"]["ingress"][0]["from"] == [{"ipBlock": {"cidr": "VPC-RANGE"}}]


def test_metrics_server_comes_as_an_addon_alone(read):
    assert not any("metrics-server" in each["metadata"]["name"] for each in read("all"))


def test_terraform_makes_the_roles_that_the_cluster_names():
    given = [each for each in CLUSTER["iam"]["podIdentityAssociations"] if "roleARN" in each]
    accounts = {(each["namespace"], each["serviceAccountName"]) for each in given}
    roles = {each["roleARN"] for each in given} | {CLUSTER["accessConfig"]["accessEntries"][0]["principalARN"]}
    text = "".join(path.read_text() for path in sorted((ROOT / "infra/terraform").glob("*.tf")))
    (name,) = re.findall(r'variable "name" \{[^}]*?default *= "(\w+)"', text)
    made = re.findall(r'"\$\{var\.name\}-(ci)"', text) + re.findall(r"(\w+) *= var\.\w*service_account\b", text)
    assert CLUSTER["metadata"]["name"] == name
    assert {role.rpartition("/")[2] for role in roles} == {f"{name}-{each}" for each in made}
    assert accounts == {*re.findall(r'default *= \{ namespace = "([\w-]+)", name = "([\w-]+)" \}', text)}
