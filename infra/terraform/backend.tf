# Backend of the state: scripts/infra creates and names the bucket, so that laptops and CI share it.
terraform {
  backend "s3" {
    key          = "lockstep/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
