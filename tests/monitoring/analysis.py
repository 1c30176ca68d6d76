"""The measurements of the AnalysisTemplate for Argo Rollouts: queries with their arguments, and what a result means."""

import math
import re

import yaml

from tests.root import ROOT

TEMPLATE = yaml.safe_load((ROOT / "k8s/components/rollout/analysis.yaml").read_text())
CANARY, STABLE = "6f7d8c9b5", "5c9d7f4b8"
METRICS = {metric["name"]: metric for metric in TEMPLATE["spec"]["metrics"]}


def filled(text, **given):
    """Return a text of the template with its arguments, as the controller fills them in."""
    values = {each["name"]: each.get("value") for each in TEMPLATE["spec"]["args"]}
    values |= {"canary": CANARY, "stable": STABLE} | given
    return re.sub(r"\{\{args\.([\w-]+)\}\}", lambda found: values[found[1]], text)


def query(name):
    return filled(METRICS[name]["provider"]["prometheus"]["query"])


def verdict(name, result, **given):
    """Return success, failure or inconclusive for the values of a result, by the conditions of a metric.

    The conditions are those of the language expr, of which they use what Python has under other names.
    """

    def holds(condition):
        text = filled(condition, **given).replace("||", " or ").replace("&&", " and ")
        text = text.replace("false", "False")
        assert re.fullmatch(r"(?:[\s\d.<>=()\[\]]|len|result|isNaN|or|and|False)*", text), text
        return eval(text, {"result": result, "len": len, "isNaN": math.isnan})

    metric = METRICS[name]
    if "failureCondition" not in metric:
        return "success" if holds(metric["successCondition"]) else "failure"
    if holds(metric["failureCondition"]):
        return "failure"
    return "success" if holds(metric["successCondition"]) else "inconclusive"
