output "dvc_bucket" {
  description = "`dvc remote add -d storage s3://THIS`"
  value       = aws_s3_bucket.this["dvc"].id
}

output "artifacts_bucket" {
  description = "Artifacts of MLflow, and labelled rows under feedback/."
  value       = aws_s3_bucket.this["artifacts"].id
}

output "repository_url" {
  description = "Where images go: the variable ECR_REPOSITORY of the workflows."
  value       = local.image_repository.repository_url
}

output "deploy_role_arn" {
  description = "The variable AWS_DEPLOY_ROLE of the workflows, and the access entry of the cluster."
  value       = aws_iam_role.github["deploy"].arn
}

output "train_role_arn" {
  description = "The variable AWS_TRAIN_ROLE of the workflows."
  value       = aws_iam_role.github["train"].arn
}

output "pod_role_arn" {
  description = "For the pod identity association of the app in k8s/eksctl/cluster.yaml."
  value       = aws_iam_role.pod["pods"].arn
}

output "secrets_role_arn" {
  description = "For the pod identity association of the External Secrets operator."
  value       = aws_iam_role.pod["secrets"].arn
}

output "app_secret" {
  description = "Name of the app's secret in AWS Secrets Manager."
  value       = aws_secretsmanager_secret.app.name
}

output "database" {
  description = "Address of the database and the secret that holds its user and password; null without one."
  value       = one([for one in aws_db_instance.log : { address = one.address, port = one.port, secret_arn = one.master_user_secret[0].secret_arn }])
}
