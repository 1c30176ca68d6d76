# PostgreSQL for the prediction log: private, encrypted, with a managed password. From version 15 on it accepts
# only TLS connections (rds.force_ssl is 1 unless a parameter group says otherwise).

resource "aws_db_subnet_group" "log" {
  for_each   = local.databases
  name       = "${var.name}-log"
  subnet_ids = each.value.subnet_ids
}

resource "aws_security_group" "database" {
  for_each    = local.databases
  name        = "${var.name}-database"
  description = "The database of the prediction log"
  vpc_id      = each.value.vpc_id

  ingress {
    description     = "Pods and nodes of the cluster"
    protocol        = "tcp"
    from_port       = 5432
    to_port         = 5432
    security_groups = each.value.client_security_groups
  }
}

resource "aws_db_instance" "log" {
  for_each                            = local.databases
  identifier                          = "${var.name}-log"
  engine                              = "postgres"
  engine_version                      = each.value.engine_version
  instance_class                      = each.value.instance_class
  allocated_storage                   = each.value.storage_gb
  max_allocated_storage               = each.value.storage_gb * 5
  storage_type                        = "gp3"
  storage_encrypted                   = true
  db_name                             = "lockstep"
  username                            = "lockstep"
  manage_master_user_password         = true
  iam_database_authentication_enabled = true
  db_subnet_group_name                = aws_db_subnet_group.log[each.key].name
  vpc_security_group_ids              = [aws_security_group.database[each.key].id]
  publicly_accessible                 = false
  multi_az                            = each.value.multi_az
  backup_retention_period             = each.value.backup_days
  auto_minor_version_upgrade          = true
  copy_tags_to_snapshot               = true
  deletion_protection                 = !var.force_destroy
  skip_final_snapshot                 = var.force_destroy
  final_snapshot_identifier           = var.force_destroy ? null : "${var.name}-log-last"
  enabled_cloudwatch_logs_exports     = ["postgresql", "upgrade"]
}

locals {
  databases = { for key, value in { log = var.database } : key => value if value != null }
}
