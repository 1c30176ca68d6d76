"""The evaluation of NetworkPolicies, against the cases that the documentation of Kubernetes describes.

https://kubernetes.io/docs/concepts/services-networking/network-policies/ and the reference of networking.k8s.io/v1.
"""

import pytest
import yaml

from tests.k8s.network_policy import Host, Pod, allowed

DB = Pod("default", {"role": "db"}, {("redis", "TCP"): 6379, ("dns", "UDP"): 53})
FRONTEND = Pod("default", {"role": "frontend"})
OTHER = Pod("default", {"role": "other"})
MY_PROJECT = Pod("myproject", {"role": "other"}, namespace_labels={"project": "myproject"})
CLIENT_OF_ALICE = Pod("alice", {"role": "client"}, namespace_labels={"user": "alice"})
OTHER_OF_ALICE = Pod("alice", {"role": "other"}, namespace_labels={"user": "alice"})
CLIENT = Pod("default", {"role": "client"})


def policy(text, namespace="default"):
    spec = yaml.safe_load(text)
    return {"kind": "NetworkPolicy", "metadata": {"name": "tried", "namespace": namespace}, "spec": spec}


DOCUMENTED = policy("""
podSelector: {matchLabels: {role: db}}
policyTypes: [Ingress, Egress]
ingress:
  - from:
      - ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}
      - namespaceSelector: {matchLabels: {project: myproject}}
      - podSelector: {matchLabels: {role: frontend}}
    ports:
      - {protocol: TCP, port: 6379}
egress:
  - to:
      - ipBlock: {cidr: 10.0.0.0/24}
    ports:
      - {protocol: TCP, port: 5978}
""")
"""The first example of the page."""


@pytest.mark.parametrize(
    ("source", "destination", "port", "passes"),
    [
        (FRONTEND, DB, 6379, True),
        (OTHER, DB, 6379, False),
        (MY_PROJECT, DB, 6379, True),
        (Pod("other", {"role": "frontend"}), DB, 6379, False),  # a podSelector alone is about the policy's namespace
        (FRONTEND, DB, 6380, False),
        (Host("172.17.0.9"), DB, 6379, True),
        (Host("172.17.1.9"), DB, 6379, False),
        (Host("172.17.2.255"), DB, 6379, True),
        (Host("172.18.0.1"), DB, 6379, False),
        (DB, Host("10.0.0.7"), 5978, True),
        (DB, Host("10.0.0.7"), 5979, False),
        (DB, Host("10.0.1.7"), 5978, False),
        (DB, FRONTEND, 5978, False),  # an ipBlock is not about a pod whose address does not count
        (DB, Pod("default", address="10.0.0.7"), 5978, True),
        (FRONTEND, OTHER, 80, True),  # neither is isolated
        (FRONTEND, Host("10.0.1.7"), 80, True),
        (DB, DB, 80, True),  # a pod cannot block access to itself
    ],
)
def test_the_documented_example(source, destination, port, passes):
    assert allowed([DOCUMENTED], source, destination, port) is passes


ONE_PEER = "namespaceSelector: {matchLabels: {user: alice}}, podSelector: {matchLabels: {role: client}}"
TWO_PEERS = "namespaceSelector: {matchLabels: {user: alice}}}, {podSelector: {matchLabels: {role: client}}"


@pytest.mark.parametrize(
    ("peers", "passing"),
    [(ONE_PEER, [CLIENT_OF_ALICE]), (TWO_PEERS, [CLIENT_OF_ALICE, OTHER_OF_ALICE, CLIENT])],
    ids=["both selectors in one peer", "one selector in each of two peers"],
)
def test_selectors_of_one_peer_are_an_and_and_peers_are_an_or(peers, passing):
    tried = policy(f"{{podSelector: {{}}, ingress: [{{from: [{{{peers}}}]}}]}}")
    sources = [CLIENT_OF_ALICE, OTHER_OF_ALICE, CLIENT, FRONTEND, MY_PROJECT]
    assert [each for each in sources if allowed([tried], each, DB, 80)] == passing


DEFAULTS = {
    "podSelector: {}\npolicyTypes: [Ingress]": (False, True),  # default deny of ingress
    "podSelector: {}\npolicyTypes: [Ingress]\ningress: [{}]": (True, True),  # allow all ingress
    "podSelector: {}\npolicyTypes: [Egress]": (True, False),  # default deny of egress
    "podSelector: {}\npolicyTypes: [Egress]\negress: [{}]": (True, True),  # allow all egress
    "podSelector: {}\npolicyTypes: [Ingress, Egress]": (False, False),  # default deny of both
    "podSelector: {}": (False, True),  # without policyTypes: ingress, and egress only with rules
    "podSelector: {}\negress: [{ports: [{port: 443}]}]": (False, False),
    "podSelector: {}\negress: []": (False, True),
    "podSelector: {}\ningress: []": (False, True),
    "podSelector: {}\ningress: [{from: []}]": (True, True),  # an empty list of peers is all of them
    "podSelector: {}\ningress: [{ports: []}]": (True, True),
    "podSelector: {matchLabels: {role: nobody}}": (True, True),
}


@pytest.mark.parametrize("text", DEFAULTS)
def test_what_isolates_a_pod(text):
    tried = [policy(text)]
    assert (allowed(tried, MY_PROJECT, DB, 80), allowed(tried, DB, Host("1.1.1.1"), 80)) == DEFAULTS[text]
    assert allowed(tried, DB, FRONTEND, 80) is all(DEFAULTS[text]), "both ends have to allow it"
    assert allowed(tried, MY_PROJECT, Host("1.1.1.1"), 80), "another namespace is not isolated"


PORTS = {
    "{port: 6379}": {(6379, "TCP")},  # without a protocol: TCP
    "{port: 6379, protocol: UDP}": {(6379, "UDP")},
    "{protocol: UDP}": {(53, "UDP"), (54, "UDP"), (6379, "UDP"), (32768, "UDP")},
    "{port: redis}": {(6379, "TCP")},
    "{port: redis, protocol: UDP}": set(),
    "{port: dns, protocol: UDP}": {(53, "UDP")},
    "{port: web}": set(),
    "{port: 53, endPort: 54}": {(53, "TCP"), (54, "TCP")},
    "{port: 6379, endPort: 32768}": {(6379, "TCP"), (32768, "TCP")},
    "{port: 53}, {port: 53, protocol: UDP}": {(53, "TCP"), (53, "UDP")},
    "{port: 53, protocol: SCTP}": set(),
}


@pytest.mark.parametrize("text", PORTS)
def test_ports_of_a_rule(text):
    tried = [policy(f"{{podSelector: {{}}, ingress: [{{ports: [{text}]}}]}}")]
    asked = [(number, protocol) for number in (53, 54, 6379, 32768) for protocol in ("TCP", "UDP")]
    assert {each for each in asked if allowed(tried, FRONTEND, DB, *each)} == PORTS[text]


def test_a_named_port_of_egress_is_one_of_the_destination():
    tried = [
        policy(
            "{podSelector: {matchLabels: {role: frontend}}, policyTypes: [Egress], egress: [{ports: [{port: redis}]}]}"
        )
    ]
    assert allowed(tried, FRONTEND, DB, 6379)
    assert not allowed(tried, FRONTEND, OTHER, 6379)
    assert not allowed(tried, FRONTEND, Host("10.0.0.7"), 6379)


EXPRESSIONS = {
    "{key: role, operator: In, values: [frontend, client]}": {"frontend", "client"},
    "{key: role, operator: NotIn, values: [frontend]}": {"client", "other", None},  # a pod without the label matches
    "{key: role, operator: Exists}": {"frontend", "client", "other"},
    "{key: role, operator: DoesNotExist}": {None},
    "{key: role, operator: Exists}, {key: role, operator: NotIn, values: [other]}": {"frontend", "client"},
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_of_a_selector(text):
    peer = f"{{podSelector: {{matchExpressions: [{text}]}}}}"
    tried = [policy(f"{{podSelector: {{matchLabels: {{role: db}}}}, ingress: [{{from: [{peer}]}}]}}")]
    pods = [FRONTEND, CLIENT, OTHER, Pod("default")]
    assert {each.labels.get("role") for each in pods if allowed(tried, each, DB, 80)} == EXPRESSIONS[text]


def test_namespaces_are_selected_by_their_name():
    expression = "{key: kubernetes.io/metadata.name, operator: In, values: [alice, bob]}"
    tried = [
        policy(
            f"{{podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{matchExpressions: [{expression}]}}}}]}}]}}"
        )
    ]
    sources = [CLIENT_OF_ALICE, Pod("bob"), MY_PROJECT, CLIENT]
    assert [allowed(tried, each, DB, 80) for each in sources] == [True, True, False, False]
    everywhere = [policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}")]
    assert [allowed(everywhere, each, DB, 80) for each in [*sources, Host("1.1.1.1")]] == [True] * 4 + [False]


def test_policies_add_up_and_belong_to_their_namespace():
    deny, admit = policy("podSelector: {}"), policy("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}")
    elsewhere = policy("{podSelector: {}, ingress: [{}]}", namespace="alice")
    assert not allowed([deny, elsewhere], FRONTEND, DB, 80)
    assert allowed([deny, admit], FRONTEND, DB, 80)
    assert not allowed([deny, admit], CLIENT_OF_ALICE, DB, 80)
    assert allowed([deny, admit, elsewhere], MY_PROJECT, CLIENT_OF_ALICE, 80)


def test_addresses_of_ipv6():
    peer = "{ipBlock: {cidr: 2001:db8::/32, except: [2001:db8:1::/48]}}"
    tried = [policy(f"{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{peer}]}}]}}")]
    reached = [allowed(tried, DB, Host(each), 443) for each in ("2001:db8::1", "2001:db8:1::1", "10.0.0.1")]
    assert reached == [True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "{podSelector: {}, ingress: [{to: []}]}",
        "{podSelector: {}, ingress: [{from: [{}]}]}",
        "{podSelector: {}, ingress: [{from: [{serviceSelector: {}}]}]}",
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [192.168.0.0/16]}}]}]}",
        "{podSelector: {}, ingress: [{ports: [{port: redis, endPort: 7000}]}]}",
        "{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 79}]}]}",
        "{podSelector: {}, ingress: [{ports: [{port: 80, host: x}]}]}",
        "{podSelector: {}, rules: []}",
    ],
)
def test_what_a_server_would_refuse_is_an_error(text):
    with pytest.raises(ValueError, match=r"field|peer|within|endPort"):
        allowed([policy(text)], Host("10.0.0.1"), DB, 80)
