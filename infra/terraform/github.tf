# Permissions of GitHub's workflows, without keys: the OIDC token of a run is exchanged for a role, for an hour.

locals {
  oidc_host     = "token.actions.githubusercontent.com"
  oidc_provider = var.github_oidc_provider_arn != "" ? var.github_oidc_provider_arn : aws_iam_openid_connect_provider.github[0].arn
  subjects      = { deploy = var.deploy_subjects, train = var.train_subjects }
  role_names    = { deploy = "${var.name}-ci", train = "${var.name}-train" }
}

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.github_oidc_provider_arn == "" ? 1 : 0
  url            = "https://${local.oidc_host}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "github_trust" {
  for_each = local.subjects

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.oidc_provider]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.oidc_host}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.oidc_host}:sub"
      values   = each.value
    }
  }
}

resource "aws_iam_role" "github" {
  for_each             = local.role_names
  name                 = each.value
  description          = "GitHub's workflows that ${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.github_trust[each.key].json
  max_session_duration = 3600
}

data "aws_iam_policy_document" "train" {
  statement {
    sid       = "FindDataAndModels"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [for bucket in aws_s3_bucket.this : bucket.arn]
  }

  statement {
    sid       = "ReadAndWriteDataAndModels"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = [for bucket in aws_s3_bucket.this : "${bucket.arn}/*"]
  }
}

data "aws_iam_policy_document" "deploy" {
  statement {
    sid       = "LogInToRegistries"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # this action takes no other
  }

  statement {
    sid = "PushImages"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:DescribeImages",
      "ecr:DescribeRepositories",
      "ecr:GetDownloadUrlForLayer",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = [local.image_repository.arn]
  }

  statement {
    sid       = "FindCluster"
    actions   = ["eks:DescribeCluster"]
    resources = [local.cluster_arn]
  }

  statement {
    sid       = "ReadNetwork"
    actions   = ["ec2:DescribeVpcs"] # scripts/deploy lets the load balancer's network in
    resources = ["*"]                # this action takes no other
  }
}

resource "aws_iam_role_policy" "train" {
  for_each = aws_iam_role.github
  name     = "data-and-models"
  role     = each.value.name
  policy   = data.aws_iam_policy_document.train.json
}

resource "aws_iam_role_policy" "deploy" {
  name   = "images-and-cluster"
  role   = aws_iam_role.github["deploy"].name
  policy = data.aws_iam_policy_document.deploy.json
}
