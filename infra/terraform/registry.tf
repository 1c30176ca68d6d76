# The image repository, with immutable tags: what was tested is what runs.

resource "aws_ecr_repository" "app" {
  count                = var.shared_repository ? 0 : 1
  name                 = var.repository
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_destroy

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "AES256"
  }
}

data "aws_ecr_repository" "shared" {
  count = var.shared_repository ? 1 : 0
  name  = var.repository
}

locals {
  image_repository = one(concat(aws_ecr_repository.app, data.aws_ecr_repository.shared))
}

moved {
  from = aws_ecr_repository.app
  to   = aws_ecr_repository.app[0]
}

moved {
  from = aws_ecr_lifecycle_policy.app
  to   = aws_ecr_lifecycle_policy.app[0]
}

resource "aws_ecr_lifecycle_policy" "app" {
  count      = length(aws_ecr_repository.app)
  repository = aws_ecr_repository.app[0].name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Images without a tag go after a week"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "The newest ${var.images_kept} stay, which a rollback can go back to"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.images_kept }
        action       = { type = "expire" }
      },
    ]
  })
}
