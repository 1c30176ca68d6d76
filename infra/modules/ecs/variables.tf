variable "name" {
  description = "Name of cluster, service and roles."
  type        = string
  default     = "lockstep"
}

variable "image" {
  description = "Image by digest, as `make push` prints it."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "REPOSITORY@sha256:DIGEST: a tag could come to hold another image."
  }
}

variable "repository_arn" {
  description = "ARN of the image's repository in ECR."
  type        = string
}

variable "task_role_arn" {
  description = "Role of the app for buckets; none without it."
  type        = string
  default     = null
}

variable "settings" {
  description = "Settings of docs/settings.md that are no secrets."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Settings that are secrets: the ARN of each in Secrets Manager."
  type        = map(string)
  default     = {}
}

variable "tasks" {
  description = "How many copies of the app run."
  type        = number
  default     = 2
}

variable "vpc_id" {
  description = "VPC of the service."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the service."
  type        = list(string)
}

variable "load_balancer_security_group" {
  description = "Security group of the load balancer, which alone may connect."
  type        = string
}
