# Amazon Managed Service for Prometheus with the project's rules, and Amazon Managed Grafana.
# Pods write to `remote_write_url` by an agent or by remote_write of a Prometheus in the cluster.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

resource "aws_prometheus_workspace" "this" {
  alias = var.name
}

resource "aws_prometheus_rule_group_namespace" "this" {
  for_each     = toset(["recording", "alerts"])
  name         = each.key
  workspace_id = aws_prometheus_workspace.this.id
  data         = file("${var.rules}/${each.key}.yml")
}

resource "aws_grafana_workspace" "this" {
  count                    = var.grafana ? 1 : 0
  name                     = var.name
  account_access_type      = "CURRENT_ACCOUNT"
  authentication_providers = ["AWS_SSO"]
  permission_type          = "SERVICE_MANAGED"
  data_sources             = ["PROMETHEUS"]
  role_arn                 = aws_iam_role.grafana[0].arn
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["grafana.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "query" {
  statement {
    actions   = ["aps:DescribeWorkspace", "aps:GetLabels", "aps:GetMetricMetadata", "aps:GetSeries", "aps:QueryMetrics"]
    resources = [aws_prometheus_workspace.this.arn]
  }
}

resource "aws_iam_role" "grafana" {
  count              = var.grafana ? 1 : 0
  name               = "${var.name}-grafana"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "query" {
  count  = var.grafana ? 1 : 0
  name   = "query"
  role   = aws_iam_role.grafana[0].name
  policy = data.aws_iam_policy_document.query.json
}

output "remote_write_url" {
  description = "Address for remote_write."
  value       = "${aws_prometheus_workspace.this.prometheus_endpoint}api/v1/remote_write"
}
