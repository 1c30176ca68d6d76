# Backend of the state: scripts/infra creates and names the bucket, so that laptops and CI share it, and the key.
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
