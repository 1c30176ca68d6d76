# Where the state lies: scripts/infra makes the bucket and names it, so that laptops and CI see the same.
terraform {
  backend "s3" {
    key          = "lockstep/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
