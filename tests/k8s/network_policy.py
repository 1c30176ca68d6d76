"""Evaluation of NetworkPolicies: which connections the policies of a cluster allow, by the semantics of Kubernetes.

A connection passes where the egress policies of its source and the ingress policies of its destination both allow it.
A pod that no policy selects for a direction is not isolated in it, and policies only ever add to what is allowed.
Policies see the port of the pod and not that of the Service. An `ipBlock` is about addresses outside the cluster;
whether it also holds for pods differs between network plugins, so a pod matches one only if it is given an address.
"""

import ipaddress
from dataclasses import dataclass, field

SPEC = {"podSelector", "policyTypes", "ingress", "egress"}
PEER = {"podSelector", "namespaceSelector", "ipBlock"}
PORT = {"port", "protocol", "endPort"}
OPERATORS = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}
PEERS = {"ingress": "from", "egress": "to"}


@dataclass(frozen=True)
class Pod:
    """A pod; `ports` are the named ones of its containers, (name, protocol) -> number."""

    namespace: str
    labels: dict = field(default_factory=dict)
    ports: dict = field(default_factory=dict)
    address: str | None = None
    namespace_labels: dict = field(default_factory=dict)

    @property
    def labels_of_namespace(self):
        """Return the labels of the pod's namespace, of which every cluster sets the one with its name."""
        return {**self.namespace_labels, "kubernetes.io/metadata.name": self.namespace}


@dataclass(frozen=True)
class Host:
    """An address outside the cluster, or of a node."""

    address: str


def _checked(part, known):
    """Refuse a field that this evaluation does not know, since what it means cannot be left out."""
    if unknown := part.keys() - known:
        raise ValueError(f"a NetworkPolicy has no field {sorted(unknown)}")
    return part


def selected(selector, labels):
    """Return whether a label selector matches; an empty one matches everything."""
    _checked(selector, {"matchLabels", "matchExpressions"})
    equal = (selector.get("matchLabels") or {}).items() <= labels.items()
    return equal and all(
        OPERATORS[each["operator"]](labels.get(each["key"]), each.get("values") or [])
        for each in selector.get("matchExpressions") or []
    )


def _in_block(block, address):
    _checked(block, {"cidr", "except"})
    network, excepted = ipaddress.ip_network(block["cidr"]), [ipaddress.ip_network(e) for e in block.get("except", [])]
    if any(each.version != network.version or not each.subnet_of(network) for each in excepted):
        raise ValueError(f"except of {block['cidr']} has to lie within it: {block['except']}")
    found = address and ipaddress.ip_address(address)
    return bool(address) and found in network and not any(found in each for each in excepted)


def peer_matches(peer, other, namespace):
    """Return whether one entry of `from` or `to`, in a policy of a namespace, is about a pod or host."""
    _checked(peer, PEER)
    if "ipBlock" in peer:
        if len(peer) > 1:
            raise ValueError("ipBlock stands alone in a peer")
        return _in_block(peer["ipBlock"], other.address)
    if not peer:
        raise ValueError("a peer needs a selector or an ipBlock")
    if not isinstance(other, Pod):
        return False
    spaces = peer.get("namespaceSelector")
    inside = other.namespace == namespace if spaces is None else selected(spaces, other.labels_of_namespace)
    return inside and selected(peer.get("podSelector") or {}, other.labels)


def port_matches(entry, destination, number, protocol):
    """Return whether one entry of `ports` is about a port of the destination; a name is that of a container port."""
    _checked(entry, PORT)
    wanted, end = entry.get("port"), entry.get("endPort")
    if end is not None and not (isinstance(wanted, int) and end >= wanted):
        raise ValueError(f"endPort {end} needs a port, as a number, that is not above it")
    if entry.get("protocol", "TCP") != protocol:
        return False
    if isinstance(wanted, str):
        return isinstance(destination, Pod) and destination.ports.get((wanted, protocol)) == number
    return wanted is None or wanted <= number <= (wanted if end is None else end)


def _types(spec):
    """Return the directions of a policy: without `policyTypes` ingress, and egress if it has rules for it."""
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def one_side(policies, direction, pod, other, destination, number, protocol):
    """Return whether the policies of a pod allow traffic in a direction with another pod or host."""
    isolating = [
        each
        for each in policies
        if each["metadata"]["namespace"] == pod.namespace
        and direction in [kind.lower() for kind in _types(_checked(each["spec"], SPEC))]
        and selected(each["spec"].get("podSelector") or {}, pod.labels)
    ]
    rules = [(each["metadata"]["namespace"], rule) for each in isolating for rule in each["spec"].get(direction) or []]
    return not isolating or any(
        _rule_allows(_checked(rule, {PEERS[direction], "ports"}), direction, namespace, other)
        and (not rule.get("ports") or any(port_matches(own, destination, number, protocol) for own in rule["ports"]))
        for namespace, rule in rules
    )


def _rule_allows(rule, direction, namespace, other):
    peers = rule.get(PEERS[direction])
    return not peers or any(peer_matches(peer, other, namespace) for peer in peers)


def allowed(policies, source, destination, number, protocol="TCP"):
    """Return whether a connection from a pod or host to a port of a pod or host passes."""
    if source == destination:
        return True
    leaves = not isinstance(source, Pod) or one_side(
        policies, "egress", source, destination, destination, number, protocol
    )
    arrives = not isinstance(destination, Pod) or one_side(
        policies, "ingress", destination, source, destination, number, protocol
    )
    return leaves and arrives
