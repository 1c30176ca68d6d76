"""Who reaches whom: what must hold between Services, policies, monitors and ingresses, and the pods behind them."""

import ipaddress
from functools import cache

import yaml

from flask_app import create_app
from lockstep.config.settings import Settings
from tests.flask_app.standins import FolderRegistry
from tests.k8s.objects import ROOT, matches, name, of_kind, port_names, workloads

METADATA = [ipaddress.ip_address(each) for each in ("169.254.169.254", "fd00:ec2::254")]


@cache
def routes():
    """Return the addresses at which the app answers a GET."""
    app = create_app(Settings.read({"LOCKSTEP_MODEL_NAME": "demo"}), FolderRegistry().connect)
    return {rule.rule for rule in app.url_map.iter_rules() if "GET" in rule.methods}


def services(objects):
    """A Service selects pods, and leads to a port that they have."""
    for each in of_kind(objects, "Service"):
        chosen = [pod for _, labels, _, pod in workloads(objects) if each["spec"]["selector"].items() <= labels.items()]
        if not chosen:
            yield f"{name(each)} selects nothing"
        for port in each["spec"]["ports"]:
            wanted = port.get("targetPort", port["port"])
            for pod in chosen:
                if wanted not in {**port_names(pod), **{n: n for n in port_names(pod).values()}}:
                    yield f"{name(each)} leads to port {wanted}, which {pod['name']} has not"


def allowed(policy, direction):
    """Return the peers and port numbers or names of each rule of a policy."""
    where = "from" if direction == "ingress" else "to"
    for rule in policy["spec"].get(direction) or []:
        yield rule.get(where) or [{}], {port["port"] for port in rule.get("ports", [])}


def denied(objects):
    """S34: nothing may pass but what a policy names, which never is the metadata address."""
    policies = of_kind(objects, "NetworkPolicy")
    bare = [each["spec"] for each in policies if not {"ingress", "egress"} & each["spec"].keys()]
    if not any((each["podSelector"], {*each["policyTypes"]}) == ({}, {"Ingress", "Egress"}) for each in bare):
        yield "nothing is denied by default"
    for each in policies:
        for peers, _ in allowed(each, "egress"):
            if any(reaches_metadata(peer) for peer in peers):
                yield f"{name(each)} lets pods reach the metadata address"


def opened(objects):
    """A policy selects pods, opens ports that they have, and not to everybody."""
    for each in of_kind(objects, "NetworkPolicy"):
        selector = each["spec"]["podSelector"]
        pods = [container for _, labels, _, container in workloads(objects) if matches(selector, labels)]
        if not pods:
            yield f"{name(each)} selects nothing"
        known = {one for pod in pods for pair in port_names(pod).items() for one in pair}
        for peers, ports in allowed(each, "ingress"):
            if {} in peers:
                yield f"{name(each)} lets everybody in"
            yield from (f"{name(each)} opens port {port}, which no pod has" for port in ports - known)


def needed(objects):
    """Pods may ask DNS; Prometheus may scrape, and a load balancer come in, where there is one."""
    policies = of_kind(objects, "NetworkPolicy")
    incoming = [peer for each in policies for peers, _ in allowed(each, "ingress") for peer in peers]
    spaces = [peer.get("namespaceSelector", {}).get("matchLabels") for peer in incoming]
    if not any(53 in ports for each in policies for _, ports in allowed(each, "egress")):
        yield "no pod may ask DNS"
    if of_kind(objects, "ServiceMonitor") and {"kubernetes.io/metadata.name": "monitoring"} not in spaces:
        yield "Prometheus may not scrape"
    outside = [each for each in of_kind(objects, "Service") if each["spec"].get("type") == "LoadBalancer"]
    if (outside or of_kind(objects, "Ingress")) and not any("ipBlock" in peer for peer in incoming):
        yield "the load balancer may not come in"


def reaches_metadata(peer):
    """Tell whether a peer of an egress rule holds the metadata address."""
    if not peer:
        return True
    block = peer.get("ipBlock")
    inside = [address for address in METADATA if block and address in ipaddress.ip_network(block["cidr"])]
    excepted = [ipaddress.ip_network(each) for each in (block or {}).get("except", [])]
    return any(not any(address in each for each in excepted) for address in inside)


def monitors(objects):
    """A ServiceMonitor selects a Service, scrapes a port and a route that are there, under the job that rules know."""
    rules = yaml.safe_load((ROOT / "monitoring/prometheus.yml").read_text())
    job = rules["scrape_configs"][0]["job_name"]
    for each in of_kind(objects, "ServiceMonitor"):
        spec, spaces = each["spec"], each["spec"].get("namespaceSelector", {}).get("matchNames", [])
        chosen = [
            own
            for own in of_kind(objects, "Service")
            if matches(spec["selector"], own["metadata"]["labels"]) and own["metadata"]["namespace"] in spaces
        ]
        if not chosen:
            yield f"{name(each)} selects nothing"
        for own in chosen:
            if own["metadata"]["labels"].get(spec.get("jobLabel")) != job:
                yield f"{name(each)} calls the job otherwise than the rules, which say {job}"
            known = {port.get("name") for port in own["spec"]["ports"]}
            for end in spec["endpoints"]:
                if end.get("port") not in known:
                    yield f"{name(each)} scrapes port {end.get('port')}, which {name(own)} has not"
                if end.get("path", "/metrics") not in routes():
                    yield f"{name(each)} scrapes {end['path']}, which the app has not"


def ingresses(objects):
    """An Ingress leads to a port of a Service, and the app answers its host."""
    known = {
        (own["metadata"]["name"], port.get("name"))
        for own in of_kind(objects, "Service")
        for port in own["spec"]["ports"]
    }
    hosts = {each.get("data", {}).get("LOCKSTEP_ALLOWED_HOSTS") for each in of_kind(objects, "ConfigMap")}
    for each in of_kind(objects, "Ingress"):
        for rule in each["spec"]["rules"]:
            if rule["host"] not in hosts:
                yield f"{name(each)}: the app refuses the host {rule['host']}"
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                if (backend["name"], backend["port"].get("name")) not in known:
                    yield f"{name(each)} leads to {backend['name']}, port {backend['port']}, which is not here"
