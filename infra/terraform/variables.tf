variable "name" {
  description = "Prefix of every name, and the name of the cluster: scripts/infra sets it to EKS_CLUSTER."
  type        = string
  default     = "lockstep"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, 2 to 21 of them, a letter first: bucket names are made of it."
  }
}

variable "region" {
  description = "AWS region of everything here, and of the cluster: scripts/infra sets it to AWS_REGION."
  type        = string
}

variable "repository" {
  description = "Name of the image repository in ECR."
  type        = string
  default     = "flask-app"
}

variable "shared_repository" {
  description = "Use the image repository of another environment of this account, so that the same digest moves on."
  type        = bool
  default     = false
}

variable "images_kept" {
  description = "How many tagged images ECR keeps; the one that runs has to be among them."
  type        = number
  default     = 50
}

variable "deploy_subjects" {
  description = "OIDC subjects of GitHub that may deploy, each in full: repo:OWNER/NAME:environment:production. Repositories made since 2026-07-15 send repo:OWNER@OWNER_ID/NAME@REPO_ID:environment:production."
  type        = list(string)

  validation {
    condition     = length(var.deploy_subjects) > 0 && alltrue([for one in var.deploy_subjects : can(regex("^repo:[^*?:]+/[^*?:]+:[^*?]+$", one))])
    error_message = "At least one subject in full, such as repo:OWNER/NAME:environment:production, without * or ?."
  }
}

variable "train_subjects" {
  description = "OIDC subjects of GitHub that may train: read and write data, models and labelled rows, and nothing else."
  type        = list(string)

  validation {
    condition     = length(var.train_subjects) > 0 && alltrue([for one in var.train_subjects : can(regex("^repo:[^*?:]+/[^*?:]+:[^*?]+$", one))])
    error_message = "At least one subject in full, such as repo:OWNER/NAME:ref:refs/heads/main, without * or ?."
  }
}

variable "github_oidc_provider_arn" {
  description = "GitHub's OIDC provider where the account has one already (an account takes one); else it is made here."
  type        = string
  default     = ""
}

variable "service_account" {
  description = "Kubernetes namespace and service account of the app, which get its role by pod identity."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "lockstep", name = "flask-app" }
}

variable "secrets_service_account" {
  description = "Namespace and service account of the External Secrets operator, which reads the app's secrets."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "external-secrets", name = "external-secrets" }
}

variable "mlflow_service_account" {
  description = "Namespace and service account of MLflow, where it runs in the cluster: it keeps artifacts in the bucket."
  type        = object({ namespace = string, name = string })
  default     = { namespace = "lockstep", name = "mlflow" }
}

variable "database" {
  description = "Network of the PostgreSQL database: private subnets in two zones, and the security groups that may connect. Null makes no database, since the VPC comes with the cluster."
  type = object({
    vpc_id                 = string
    subnet_ids             = list(string)
    client_security_groups = list(string)
    instance_class         = optional(string, "db.t4g.micro")
    storage_gb             = optional(number, 20)
    engine_version         = optional(string, "17")
    multi_az               = optional(bool, false)
    backup_days            = optional(number, 7)
  })
  default = null

  validation {
    condition     = var.database == null ? true : tonumber(split(".", var.database.engine_version)[0]) >= 15
    error_message = "PostgreSQL 15 or newer: older ones take connections without TLS."
  }
}

variable "force_destroy" {
  description = "Let `destroy` delete what cannot be made again: buckets with their content, images, the database without a last snapshot."
  type        = bool
  default     = false
}
