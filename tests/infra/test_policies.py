import copy

import pytest

from tests.infra.policies import AUDIENCE, SUBJECT, too_wide, trusts_too_many, written_too_wide

NARROW = {
    "Statement": [
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::own/*", "arn:aws:s3:::own/feedback/*"],
        },
        {"Effect": "Allow", "Action": ["ecr:PutImage"], "Resource": "arn:aws:ecr:us-east-1:1:repository/app"},
    ]
}
GITHUB = {
    "Statement": {
        "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"},
        "Condition": {"StringEquals": {AUDIENCE: "sts.amazonaws.com", SUBJECT: "repo:own/er:environment:production"}},
    }
}
TAGS = ("eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account")
POD = {
    "Statement": {
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Condition": {"StringEquals": {f"aws:RequestTag/{name}": "one" for name in TAGS}},
    }
}


def test_s31_what_is_narrow_passes():
    assert too_wide(NARROW) == []
    assert trusts_too_many(GITHUB) == []
    assert trusts_too_many(POD) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"Action": "*"}, ["action *"]),
        ({"Action": "ecr:*"}, ["action ecr:*"]),
        ({"Action": "ecr:Put*"}, ["action ecr:Put*"]),
        ({"Resource": "*"}, ["resource *"]),
        ({"Resource": "arn:aws:ecr:us-east-1:1:repository/*"}, ["resource arn:aws:ecr:us-east-1:1:repository/*"]),
        ({"Resource": "arn:aws:s3:::*"}, ["resource arn:aws:s3:::*"]),
        ({"Resource": "arn:aws:s3:::own*/a"}, ["resource arn:aws:s3:::own*/a"]),
        ({"Action": ["ecr:GetAuthorizationToken", "ecr:PutImage"], "Resource": "*"}, ["resource *"]),
    ],
)
def test_s31_a_planted_wildcard_is_found(change, found):
    policy = copy.deepcopy(NARROW)
    policy["Statement"][3] |= change
    assert too_wide(policy) == found


@pytest.mark.parametrize(
    ("policy", "change", "found"),
    [
        (GITHUB, {"Principal": "*"}, "anybody"),
        (GITHUB, {"Condition": {}}, f"no StringEquals on {AUDIENCE}"),
        (GITHUB, {"Condition": {"StringLike": {SUBJECT: "repo:own/*"}}}, f"no StringEquals on {SUBJECT}"),
        (GITHUB, {"Condition": {"StringEquals": {AUDIENCE: "a", SUBJECT: "repo:own/*"}}}, "subject repo:own/*"),
        (GITHUB, {"Principal": {"AWS": "arn:aws:iam::1:root"}}, "principal {'AWS': 'arn:aws:iam::1:root'}"),
        (POD, {"Condition": {}}, "any kubernetes-namespace"),
    ],
)
def test_s31_a_role_that_somebody_else_may_take_is_found(policy, change, found):
    changed = copy.deepcopy(policy)
    changed["Statement"] |= change
    assert found in trusts_too_many(changed)


@pytest.mark.parametrize(
    ("actions", "resources", "found"),
    [
        (["s3:GetObject"], ["${aws_s3_bucket.this.arn}/*"], 0),
        (["s3:GetObject"], ['${"${aws_s3_bucket.this.arn}/feedback/*"}'], 0),
        (["ecr:GetAuthorizationToken"], ["*"], 0),
        (["s3:*"], ["${aws_s3_bucket.this.arn}"], 1),
        (["s3:GetObject"], ["*"], 1),
        (["s3:GetObject"], ["arn:aws:s3:::own-*"], 1),
        (["s3:*"], ["*"], 2),
    ],
)
def test_s31_a_wildcard_is_found_as_it_is_written(actions, resources, found):
    assert len(written_too_wide({"actions": [actions], "resources": [resources]})) == found
