# New data in S3 start a retraining: an object below the prefix -> EventBridge -> repository_dispatch of type `retrain`.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

resource "aws_s3_bucket_notification" "data" {
  bucket      = var.bucket
  eventbridge = true
}

resource "aws_cloudwatch_event_rule" "data" {
  name        = "${var.name}-new-data"
  description = "New objects in s3://${var.bucket}/${var.prefix}"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket] }
      object = { key = [{ prefix = var.prefix }] }
    }
  })
}

resource "aws_cloudwatch_event_connection" "github" {
  name               = "${var.name}-github"
  authorization_type = "API_KEY"

  auth_parameters {
    api_key {
      key   = "Authorization"
      value = "Bearer ${var.token}"
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "github" {
  name                             = "${var.name}-retrain"
  invocation_endpoint              = "https://api.github.com/repos/${var.repository}/dispatches"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 1
  connection_arn                   = aws_cloudwatch_event_connection.github.arn
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "dispatch" {
  statement {
    actions   = ["events:InvokeApiDestination"]
    resources = [aws_cloudwatch_event_api_destination.github.arn]
  }
}

resource "aws_iam_role" "events" {
  name               = "${var.name}-new-data"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "dispatch" {
  name   = "dispatch"
  role   = aws_iam_role.events.name
  policy = data.aws_iam_policy_document.dispatch.json
}

resource "aws_cloudwatch_event_target" "github" {
  rule     = aws_cloudwatch_event_rule.data.name
  arn      = aws_cloudwatch_event_api_destination.github.arn
  role_arn = aws_iam_role.events.arn

  input_transformer {
    input_paths = { bucket = "$.detail.bucket.name", key = "$.detail.object.key" }
    # As lockstep.lifecycle.retraining.github writes it.
    input_template = <<-EOT
      {"event_type": "retrain", "client_payload": {"model": "${var.model}", "reason": "new data: s3://<bucket>/<key>", "trigger": "data", "job": ""}}
    EOT
  }
}
