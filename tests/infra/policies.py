"""S31 as a pure function: what a policy of AWS allows that it need not."""

import json
import re

UNNAMEABLE = {"ecr:GetAuthorizationToken", "ec2:DescribeVpcs"}
"""Actions that take no resource but `*`."""

AUDIENCE, SUBJECT = "token.actions.githubusercontent.com:aud", "token.actions.githubusercontent.com:sub"


def listed(content):
    return content if isinstance(content, list) else [content]


def too_wide(policy):
    """Return what a policy allows beyond named actions on named resources."""
    found = []
    for statement in listed(policy["Statement"]):
        if statement["Effect"] != "Allow":
            continue
        actions = listed(statement.get("Action", "*"))
        found += [f"action {action}" for action in actions if "*" in action or "?" in action]
        found += ["NotAction"] * ("NotAction" in statement) + ["NotResource"] * ("NotResource" in statement)
        if not set(actions) <= UNNAMEABLE:
            found += [f"resource {one}" for one in listed(statement.get("Resource", "*")) if not is_named(one)]
    return found


def is_named(resource):
    """Tell whether an ARN names its resource; objects of a named bucket may be all of them."""
    service, _, name = resource.removeprefix("arn:aws:").partition(":")
    if service == "s3":
        bucket, _, key = name.removeprefix("::").partition("/")
        return bool(bucket) and "*" not in bucket and key.rstrip("*").count("*") == 0
    return resource.startswith("arn:aws:") and "*" not in resource


def trusts_too_many(policy):
    """Return what lets somebody else take a role."""
    found = []
    for statement in listed(policy["Statement"]):
        principal, condition = statement["Principal"], statement.get("Condition", {})
        if principal == "*" or "*" in [one for group in principal.values() for one in listed(group)]:
            found.append("anybody")
            continue
        exact = condition.get("StringEquals", {})
        if "Federated" in principal:
            found += [f"no StringEquals on {name}" for name in (AUDIENCE, SUBJECT) if name not in exact]
            found += [f"subject {one}" for one in listed(exact.get(SUBJECT, [])) if "*" in one]
        elif principal.get("Service") == "pods.eks.amazonaws.com":
            wanted = ("eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account")
            found += [f"any {name}" for name in wanted if f"aws:RequestTag/{name}" not in exact]
        else:
            found.append(f"principal {principal}")
    return found


def written_too_wide(statement):
    """Return what a statement of Terraform's, as it is written, allows beyond named actions on named resources.

    A star may stand for all objects of a bucket that is named by its ARN, or of a folder in it.
    """
    if statement.get("effect") == ["Deny"]:
        return []
    actions = [one for group in statement["actions"] for one in listed(group)]
    found = [f"action {one}" for one in actions if "*" in one or "?" in one]
    resources = json.dumps(statement.get("resources", ["none"]))
    if "resources" in statement and not set(actions) <= UNNAMEABLE:
        found += [f"resources {resources}"] * ("*" in re.sub(r"\.arn\}/(\w+/)?\*", "", resources))
    return found
