"""Region, account and address ranges: AWS_REGION and the account's own facts say them, and no file repeats them."""

import re

import pytest

from tests import ops

PLACES = ("infra", "k8s", "scripts", ".github", "compose", "Makefile", "docs/aws.md", "docs/kubernetes.md")
REGION = re.compile(r"\b(?:us|eu|ap|ca|sa|me|af|il|mx)(?:-gov)?-(?:north|south|east|west|central)+[a-z]*-\d\b")
ACCOUNT = re.compile(r"(?<![\w-])\d{12}(?![\w-])")
RANGE = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}/\d{1,2}\b")
ALLOWED = {
    "0.0.0.0/0": "everywhere, as the destination of HTTPS",
    "169.254.0.0/16": "addresses of the node itself, which pods never reach",
    "169.254.170.23/32": "the pod identity agent of EKS",
    "10.0.0.0/8": "private, for clusters that are not on EKS",
    "172.16.0.0/12": "private",
    "192.168.0.0/16": "private",
    "198.51.100.7/32": "an address of documentation",
    "203.0.113.0/24": "addresses of documentation",
    "us-east-1": "the one region whose name S3 refuses as a location, and the example of the page",
    "eu-west-1": "an example",
    "111122223333": "the account of documentation",
}
WHERE = {
    "us-east-1": ("scripts/infra", "docs/aws.md"),
    "eu-west-1": ("scripts/ci_local.py",),
    **dict.fromkeys(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), ("k8s/base/network-policies.yaml",)),
}
"""Files that alone may hold one of these."""


def written():
    """Yield file, line number and what is written there of a region, an account or a range of addresses."""
    for name in ops.run("git", "ls-files", "--", *PLACES).stdout.split():
        text = (ops.ROOT / name).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            yield from ((name, number, found) for found in faults(line))


def faults(line):
    return [found for pattern in (REGION, ACCOUNT, RANGE) for found in pattern.findall(line)]


def test_no_region_account_or_range_is_written_outside_of_the_one_place():
    found = list(written())
    assert len(found) > 5, "the patterns find nothing any more"
    assert [one for one in found if one[2] not in ALLOWED] == []
    assert [one for one in found if one[2] in WHERE and one[0] not in WHERE[one[2]]] == []


@pytest.mark.parametrize(
    "line",
    ["region: eu-west-1", 'default = "us-gov-west-1"', "cidr: 192.168.0.0/16", "arn:aws:iam::444455556666:role/x"],
)
def test_each_of_them_is_seen(line):
    assert faults(line)
