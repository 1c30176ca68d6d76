"""The cluster of k8s/dask/: no right that it does not need, and all of it agrees on ports and names."""

import copy
import re

import pytest
import yaml

from lockstep.compute import pool
from lockstep.config.params import Compute
from lockstep.config.settings import SETTINGS
from tests.k8s import checks
from tests.k8s.objects import ROOT, matches, of_kind, port_names, workloads

SAFE = (checks.images, checks.privileges, checks.tokens, checks.resources)
PARTS = {"dask-scheduler", "dask-worker", "lockstep-search"}


@pytest.fixture
def objects(manifests):
    texts = [(manifests / f"{name}.yaml").read_text() for name in ("dask", "search")]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def faults(objects):
    return [fault for check in SAFE for fault in check(objects)]


def by_app(objects):
    return {labels["app"]: (labels, spec, container) for _, labels, spec, container in workloads(objects)}


def test_pods_have_no_right_that_they_do_not_need(objects):
    assert by_app(objects).keys() == PARTS
    assert faults(objects) == []


@pytest.mark.parametrize("app", sorted(PARTS))
@pytest.mark.parametrize("fault", ["root", "image", "limits", "token"])
def test_each_of_these_faults_is_found(objects, app, fault):
    broken = copy.deepcopy(objects)
    _, spec, container = by_app(broken)[app]
    if fault == "root":
        container["securityContext"]["readOnlyRootFilesystem"] = False
    elif fault == "image":
        container["image"] = "lockstep-dask:latest"
    elif fault == "limits":
        del container["resources"]["limits"]["memory"]
    else:
        spec["automountServiceAccountToken"] = True
    assert len(faults(broken)) == 1


def test_all_find_the_scheduler_where_it_listens(objects):
    (service,) = of_kind(objects, "Service")
    pods = by_app(objects)
    labels, _, scheduler = pods["dask-scheduler"]
    (port,) = service["spec"]["ports"]
    assert matches({"matchLabels": service["spec"]["selector"]}, labels)
    assert str(port_names(scheduler)[port["targetPort"]]) in scheduler["command"]
    address = f"tcp://{service['metadata']['name']}:{port['port']}"
    assert pool.scheduler_address(Compute(engine="dask", address=address)) == address
    assert address in pods["dask-worker"][2]["command"]
    given = {each["name"]: each.get("value") for each in pods["lockstep-search"][2]["env"]}
    assert given["DASK_SCHEDULER_ADDRESS"] == address
    known = {name for setting in SETTINGS for name in setting.variables} | {"DVC_REMOTE_URL"}  # read by scripts/remote
    assert given.keys() <= known


def test_workers_run_one_task_at_a_time_at_the_port_that_is_open(objects):
    container = by_app(objects)["dask-worker"][2]
    command = " ".join([*container["command"], *container["args"]])
    assert "--nthreads 1 " in command
    assert f"--worker-port {port_names(container)['tcp-comm']} " in command
    limit = int(re.search(r"--memory-limit (\d+)GiB", command)[1]) * 1024
    assert limit < checks.mebibytes(container["resources"]["limits"]["memory"])


def opened(objects, kind, direction):
    """Return which app may speak to which, by the policies for one side."""
    found = set()
    for policy in of_kind(objects, "NetworkPolicy"):
        own = policy["spec"]["podSelector"].get("matchLabels", {}).get("app")
        for rule in policy["spec"].get(kind, []):
            assert rule["ports"]
            found |= {
                (own, each["podSelector"]["matchLabels"]["app"])
                for each in rule[direction]
                if len(each) == 1 and "podSelector" in each
            }
    return found


def test_both_ends_of_every_way_are_open_and_no_other(objects):
    ways = {
        ("dask-worker", "dask-scheduler"), ("dask-worker", "dask-worker"), ("dask-scheduler", "dask-worker"),
        ("lockstep-search", "dask-scheduler"),
    }  # fmt: skip
    assert opened(objects, "egress", "to") == ways
    assert {(source, target) for target, source in opened(objects, "ingress", "from")} == ways
    denied = [each for each in of_kind(objects, "NetworkPolicy") if each["metadata"]["name"] == "default-deny"]
    assert denied[0]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_operator_makes_the_same_pods(manifests, objects):
    cluster, _ = yaml.safe_load_all((manifests / "cluster.yaml").read_text())
    plain = by_app(objects)
    for part, app in (("scheduler", "dask-scheduler"), ("worker", "dask-worker")):
        made, own = cluster["spec"][part], plain[app]
        assert made["metadata"]["labels"] == own[0]
        (container,) = made["spec"]["containers"]
        for key in ("image", "resources", "securityContext", "volumeMounts"):
            assert container[key] == own[2][key], (part, key)
        assert made["spec"]["securityContext"] == own[1]["securityContext"]
        assert made["spec"]["automountServiceAccountToken"] is False
    assert cluster["metadata"]["namespace"] == "lockstep-dask"


def test_the_image_has_the_user_and_the_project_that_the_pods_take_it_for(objects):
    text = (ROOT / "k8s/dask/Dockerfile").read_text()
    assert f"USER {checks.USER}:{checks.USER}\n" in text
    assert "WORKDIR /project\n" in text
    assert "/project/." in " ".join(by_app(objects)["lockstep-search"][2]["args"])
    for name in re.findall(r"requirements[-a-z]*\.lock", text):
        assert (ROOT / name).is_file()
