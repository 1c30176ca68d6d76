"""Who reaches whom under the rendered NetworkPolicies: every pair of the table, pod by pod and port by port."""

import re
from dataclasses import replace
from functools import cache

import pytest
import yaml

from tests.k8s.checks import NAMESPACE
from tests.k8s.conftest import RENDERED
from tests.k8s.network_policy import Host, Pod, allowed
from tests.k8s.objects import ROOT, of_kind, template

DNS_PORTS = {("dns", "UDP"): 53, ("dns-tcp", "TCP"): 53}
HTTP = {("http", "TCP"): 5000}
PEERS = {
    "client": Pod(NAMESPACE, {"app": "client"}, HTTP, "192.168.70.1"),
    "mlflow": Pod(NAMESPACE, {"app": "mlflow"}, HTTP, "192.168.70.2"),
    "dns": Pod("kube-system", {"k8s-app": "kube-dns"}, DNS_PORTS, "192.168.70.3"),
    "other of kube-system": Pod("kube-system", {"k8s-app": "aws-node"}, DNS_PORTS, "192.168.70.4"),
    "prometheus": Pod("monitoring", {"app.kubernetes.io/name": "prometheus"}, address="192.168.70.5"),
    "grafana": Pod("monitoring", {"app.kubernetes.io/name": "grafana"}, address="192.168.70.6"),
    "false prometheus": Pod("default", {"app.kubernetes.io/name": "prometheus"}, address="192.168.70.7"),
    "stranger": Pod("default", {"app": "flask-app"}, HTTP, "192.168.70.8"),
    "database": Host("192.168.128.9"),
    "database of a peered network": Host("10.3.1.9"),
    "registry": Host("140.82.121.4"),
    "metadata": Host("169.254.169.254"),
    "pod identity": Host("169.254.170.23"),
    "load balancer": Host("192.168.10.20"),
}
"""What is beside the pods of the manifests; a client and an MLflow server stand in the same namespace."""

PORTS = [(number, "TCP") for number in (22, 53, 80, 443, 5000, 5432, 6379, 8080)] + [(53, "UDP"), (5000, "UDP")]
PRIVATE = ("database", "database of a peered network", "load balancer")
FROM_EVERY_POD = {("dns", 53, "UDP"), ("dns", 53, "TCP"), ("mlflow", 5000, "TCP"), ("registry", 443, "TCP")}
FROM_EVERY_POD |= {(host, port, "TCP") for host in PRIVATE for port in (443, 5432, 6379)}


@cache
def policy_of_mlflow():
    """Return the policy that docs/kubernetes.md has for an MLflow server in the namespace."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    return yaml.safe_load(re.search(r"```yaml\n(apiVersion: networking.*?)```", page, re.DOTALL)[1])


def pods(objects):
    """Return a pod of each workload, by the name of the workload, with the ports that its containers name."""
    made = {}
    for each in of_kind(objects, "Deployment", "StatefulSet", "CronJob", "Job"):
        inner = template(each)
        ports = [port for container in inner["spec"]["containers"] for port in container.get("ports", [])]
        numbers = {(port["name"], port.get("protocol", "TCP")): port["containerPort"] for port in ports}
        made[each["metadata"]["name"]] = Pod(NAMESPACE, inner["metadata"]["labels"], numbers)
    return made


def expected(objects):
    """Return every connection that the docs promise, as (source, destination, port, protocol)."""
    sources = {*pods(objects), "client", "mlflow"}
    apps = {name for name, pod in pods(objects).items() if pod.labels["app"] == "flask-app"}
    ways, entering = set(FROM_EVERY_POD), set(sources)
    if of_kind(objects, "ServiceMonitor"):
        entering.add("prometheus")
    if any(each["spec"].get("type") == "LoadBalancer" for each in of_kind(objects, "Service")) or of_kind(
        objects, "Ingress"
    ):
        entering |= {"load balancer", "database"}  # both have addresses of the cluster's network
        ways.add(("pod identity", 80, "TCP"))
    connections = {(source, *way) for source in sources for way in ways}
    connections |= {(source, app, 5000, "TCP") for source in entering for app in apps}
    return {each for each in connections if each[0] != each[1]}


def reached(objects, addresses=False):
    """Return every connection that the policies allow, to or from a pod of the namespace."""
    policies = [*of_kind(objects, "NetworkPolicy"), policy_of_mlflow()]
    peers = {name: each if addresses or isinstance(each, Host) else replace(each, address=None)
             for name, each in PEERS.items()} | pods(objects)  # fmt: skip
    inside = {name for name, each in peers.items() if getattr(each, "namespace", None) == NAMESPACE}
    pairs = [(one, two) for one in peers for two in peers if one != two and {one, two} & inside]
    return {
        (one, two, *port) for one, two in pairs for port in PORTS if allowed(policies, peers[one], peers[two], *port)
    }


@pytest.mark.parametrize("name", RENDERED)
def test_every_pair_is_allowed_as_the_docs_say_and_no_other(read, name):
    objects = read(name)
    found, wanted = reached(objects), expected(objects)
    assert (wanted - found, found - wanted) == (set(), set())


@pytest.mark.parametrize("name", ["local", "all"])
def test_where_blocks_of_addresses_hold_for_pods_no_other_port_is_open(read, name):
    """Some network plugins match the addresses of pods too: private ones by these three ports, and who comes in."""
    objects = read(name)
    more = {(*way[1:],) if way[0] in pods(objects) else way for way in reached(objects, True) - reached(objects)}
    assert {port for *_, port, protocol in more if protocol == "TCP"} <= {443, 5432, 6379, *([5000] * (name == "all"))}
    assert all(way[-1] == "TCP" for way in more)


def rules(objects, policy, direction):
    found = next(each for each in of_kind(objects, "NetworkPolicy") if each["metadata"]["name"] == policy)
    return found["spec"][direction]


def without(policy):
    return lambda objects: objects.remove(
        next(e for e in of_kind(objects, "NetworkPolicy") if e["metadata"]["name"] == policy)
    )


FAULTS = {
    "a client may not leave": (without("to-app"), ("client", "flask-app", 5000, "TCP")),
    "a client may not come in": (without("from-this-namespace"), ("client", "flask-app", 5000, "TCP")),
    "no MLflow": (
        lambda o: rules(o, "to-registry-and-database", "egress").pop(),
        ("flask-app", "mlflow", 5000, "TCP"),
    ),
    "no DNS": (without("to-dns"), ("flask-app", "dns", 53, "UDP")),
    "DNS over TCP alone": (
        lambda o: rules(o, "to-dns", "egress")[0]["ports"].pop(0),
        ("lockstep-drift", "dns", 53, "UDP"),
    ),
    "DNS of any pod in kube-system": (
        lambda o: rules(o, "to-dns", "egress")[0]["to"][0].pop("podSelector"),
        ("flask-app", "other of kube-system", 53, "UDP"),
    ),
    "DNS of any pod in any namespace with the label, which is an or": (
        lambda o: rules(o, "to-dns", "egress")[0]["to"].append({"namespaceSelector": {}}),
        ("flask-app", "stranger", 53, "TCP"),
    ),
    "no database in its range": (
        lambda o: rules(o, "to-registry-and-database", "egress")[1]["to"].pop(),
        ("flask-app", "database", 5432, "TCP"),
    ),
    "the port of another database": (
        lambda o: rules(o, "to-registry-and-database", "egress")[1]["ports"][0].update(port=3306),
        ("lockstep-drift", "database", 5432, "TCP"),
    ),
    "a range of ports": (
        lambda o: rules(o, "to-registry-and-database", "egress")[1]["ports"][0].update(endPort=8080),
        ("flask-app", "database", 8080, "TCP"),
    ),
    "the metadata address": (
        lambda o: rules(o, "to-registry-and-database", "egress")[0]["to"][0]["ipBlock"].pop("except"),
        ("client", "metadata", 443, "TCP"),
    ),
    "any port": (
        lambda o: rules(o, "to-registry-and-database", "egress")[0].pop("ports"),
        ("flask-app", "registry", 22, "TCP"),
    ),
    "Prometheus is looked for in another namespace": (
        lambda o: rules(o, "from-prometheus", "ingress")[0]["from"][0].pop("namespaceSelector"),
        ("prometheus", "flask-app", 5000, "TCP"),
    ),
    "all of the namespace monitoring": (
        lambda o: rules(o, "from-prometheus", "ingress")[0]["from"][0].pop("podSelector"),
        ("grafana", "flask-app", 5000, "TCP"),
    ),
    "Prometheus of any namespace": (
        lambda o: rules(o, "from-prometheus", "ingress")[0]["from"][0].update(namespaceSelector={}),
        ("false prometheus", "flask-app", 5000, "TCP"),
    ),
    "any pod of any namespace": (
        lambda o: rules(o, "from-this-namespace", "ingress")[0]["from"][0].update(namespaceSelector={}),
        ("stranger", "flask-app", 5000, "TCP"),
    ),
    "the port by a name that the pod has not": (
        lambda o: rules(o, "from-this-namespace", "ingress")[0]["ports"][0].update(port="web"),
        ("client", "flask-app", 5000, "TCP"),
    ),
    "the port of the Service": (
        lambda o: rules(o, "from-prometheus", "ingress")[0]["ports"][0].update(port=80),
        ("prometheus", "flask-app", 5000, "TCP"),
    ),
    "the load balancer in another range": (
        lambda o: rules(o, "from-ingress", "ingress")[0]["from"][0]["ipBlock"].update(cidr="10.0.0.0/8"),
        ("load balancer", "flask-app", 5000, "TCP"),
    ),
    "no pod identity": (without("to-pod-identity"), ("flask-app", "pod identity", 80, "TCP")),
    "nothing is denied": (without("default-deny"), ("stranger", "client", 8080, "TCP")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_policy_differs_in_the_pair_that_it_concerns(read, fault):
    objects = read("all")
    change, pair = FAULTS[fault]
    wanted = expected(objects)
    change(objects)
    assert pair in reached(objects) ^ wanted
