# Makes the values of the Helm chart from a few variables; needs no provider. For Terraform and OpenTofu:
#   terraform init && terraform apply && terraform output -raw values > values.yaml
#   helm install views deploy/helm --values values.yaml
terraform {
  required_version = ">= 1.5"
}

locals {
  names = {
    VIEWLEDGER_REDIS_URL             = "redis"
    VIEWLEDGER_SPEED_POSTGRES_URL    = "postgres-speed"
    VIEWLEDGER_API_POSTGRES_URL      = "postgres-api"
    VIEWLEDGER_SQL_POSTGRES_URL      = "postgres-sql"
    VIEWLEDGER_PIPELINE_POSTGRES_URL = "postgres-pipeline"
    VIEWLEDGER_BILLING_POSTGRES_URL  = "postgres-billing"
    VIEWLEDGER_POSTGRES_URL          = "postgres-migrate"
    VIEWLEDGER_PSEUDONYM_KEY         = "pseudonym"
    VIEWLEDGER_TRAITS_KEY            = "traits"
    VIEWLEDGER_API_CURSOR_KEY        = "cursors"
  }
  notice_names = {
    VIEWLEDGER_NOTICES_POSTGRES_URL = "postgres-notices"
    VIEWLEDGER_SMTP_URL             = "smtp"
    VIEWLEDGER_WEBHOOK_SECRET       = "webhook"
  }
  other_channel = var.notices == "email" ? "VIEWLEDGER_WEBHOOK_SECRET" : "VIEWLEDGER_SMTP_URL"
  notices = var.notices == "none" ? {} : { noticeSecrets = {
    for setting, name in local.notice_names : setting => { name = "${var.secret_prefix}${name}" } if setting != local.other_channel
  } }
  ingress = var.ingress == null ? {} : {
    ingress = {
      enabled       = true
      className     = var.ingress.class_name
      collectorHost = var.ingress.collector_host
      apiHost       = var.ingress.api_host
      tlsSecret     = var.ingress.tls_secret
    }
  }
  values = merge({
    image    = { repository = var.image.repository, tag = var.image.tag }
    kafka    = { bootstrap = join(",", var.kafka_brokers) }
    hdfs     = { url = var.hdfs_url }
    secrets  = { for setting, name in local.names : setting => { name = "${var.secret_prefix}${name}" } }
    settings = var.settings
    speed    = { replicas = min(var.speed_processes, var.partitions) }
    batch    = { resident = var.batch_resident }
    state    = { storageClass = var.storage_class }
    backup   = { existingClaim = var.backup_claim }
  }, local.notices, local.ingress)
}
