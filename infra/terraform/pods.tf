# Permissions of pods: EKS pod identity assigns a role to one service account of one namespace of one cluster.

locals {
  cluster_arn      = "arn:${data.aws_partition.current.partition}:eks:${var.region}:${local.account}:cluster/${var.name}"
  service_accounts = { pods = var.service_account, secrets = var.secrets_service_account, mlflow = var.mlflow_service_account }
  secret_arns      = concat([aws_secretsmanager_secret.app.arn], [for one in aws_db_instance.log : one.master_user_secret[0].secret_arn])
}

data "aws_iam_policy_document" "pod_trust" {
  for_each = local.service_accounts

  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/eks-cluster-name"
      values   = [var.name]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-namespace"
      values   = [each.value.namespace]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-service-account"
      values   = [each.value.name]
    }
  }
}

resource "aws_iam_role" "pod" {
  for_each           = local.service_accounts
  name               = "${var.name}-${each.key}"
  description        = "Service account ${each.value.name} in the namespace ${each.value.namespace}"
  assume_role_policy = data.aws_iam_policy_document.pod_trust[each.key].json
}

data "aws_iam_policy_document" "pods" {
  statement {
    sid       = "FindModels"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this["artifacts"].arn]
  }

  statement {
    sid       = "ReadModels"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.this["artifacts"].arn}/*"]
  }

  statement {
    sid       = "HandOverLabelledRows"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.this["artifacts"].arn}/feedback/*"]
  }
}

data "aws_iam_policy_document" "mlflow" {
  statement {
    sid       = "FindArtifacts"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this["artifacts"].arn]
  }

  statement {
    sid       = "KeepArtifacts"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this["artifacts"].arn}/mlflow/*"]
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    sid       = "ReadSecretsOfTheApp"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    resources = local.secret_arns
  }
}

resource "aws_iam_role_policy" "pods" {
  name   = "models"
  role   = aws_iam_role.pod["pods"].name
  policy = data.aws_iam_policy_document.pods.json
}

resource "aws_iam_role_policy" "mlflow" {
  name   = "artifacts"
  role   = aws_iam_role.pod["mlflow"].name
  policy = data.aws_iam_policy_document.mlflow.json
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.pod["secrets"].name
  policy = data.aws_iam_policy_document.secrets.json
}

# The app's own secrets, which External Secrets brings into `capstone-secret`. Its value is set by hand, never here:
# Terraform would store it in its state.
resource "aws_secretsmanager_secret" "app" {
  name                    = "${var.name}/app"
  description             = "JSON whose keys are names of docs/settings.md"
  recovery_window_in_days = var.force_destroy ? 0 : 7
}
