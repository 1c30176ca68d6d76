variable "name" {
  description = "Name of the workspaces."
  type        = string
  default     = "lockstep"
}

variable "rules" {
  description = "Folder with recording.yml and alerts.yml: monitoring/rules of the project."
  type        = string
}

variable "grafana" {
  description = "Also make a Grafana workspace, which needs IAM Identity Center."
  type        = bool
  default     = true
}
