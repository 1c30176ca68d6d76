"""Rendered objects, and what of them is asked for again and again."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVERS = ("Deployment", "StatefulSet")
WORKLOADS = (*SERVERS, "CronJob", "Job")


def of_kind(objects, *kinds):
    return [each for each in objects if each["kind"] in kinds]


def name(each):
    return f"{each['kind']} {each['metadata']['name']}"


def template(each):
    """Return the pod template of a Deployment or CronJob."""
    spec = each["spec"]
    return (spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec)["template"]


def with_template(each, objects):
    """Return a workload, or for a Rollout the Deployment from which it takes its pods."""
    reference = each["spec"].get("workloadRef")
    same = (own for own in of_kind(objects, "Deployment") if reference and own["metadata"]["name"] == reference["name"])
    return next(same, each)


def workloads(objects):
    """Return name, labels, pod specification and container of all that runs."""
    found = [(name(each), template(each)) for each in of_kind(objects, *WORKLOADS)]
    return [(own, made["metadata"]["labels"], made["spec"], made["spec"]["containers"][0]) for own, made in found]


def matches(selector, labels):
    """Tell whether a selector of labels takes these; an empty one takes all."""
    return (selector.get("matchLabels") or {}).items() <= labels.items()


def port_names(container):
    return {port["name"]: port["containerPort"] for port in container.get("ports", [])}
