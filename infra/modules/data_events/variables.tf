variable "name" {
  description = "Prefix of the names."
  type        = string
  default     = "lockstep"
}

variable "bucket" {
  description = "Bucket that data_ingestion.source names. Other notifications of the bucket are replaced."
  type        = string
}

variable "prefix" {
  description = "Beginning of the keys that count as new data."
  type        = string
  default     = "data/"
}

variable "repository" {
  description = "OWNER/NAME of the project on GitHub, whose workflow retrains."
  type        = string
}

variable "model" {
  description = "One of several models; all are retrained without it."
  type        = string
  default     = ""
}

variable "token" {
  description = "Fine-grained token with write access to the contents of the repository. It is in Terraform's state."
  type        = string
  sensitive   = true
}
