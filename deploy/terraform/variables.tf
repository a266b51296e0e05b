variable "image" {
  description = "The image of deploy/Dockerfile in your registry."
  type        = object({ repository = string, tag = string })
}

variable "kafka_brokers" {
  description = "The brokers of Kafka, each as host:port."
  type        = list(string)
  validation {
    condition     = length(var.kafka_brokers) > 0 && alltrue([for each in var.kafka_brokers : can(regex("^[^,:\\s]+:[0-9]+$", each))])
    error_message = "kafka_brokers has a wrong value; name at least one broker, each as host:port."
  }
}

variable "hdfs_url" {
  description = "The NameNode, like hdfs://namenode:8020."
  type        = string
  validation {
    condition     = can(regex("^hdfs://[^/\\s]+$", var.hdfs_url))
    error_message = "hdfs_url has a wrong value; write it like hdfs://namenode:8020."
  }
}

variable "secret_prefix" {
  description = "The beginning of the names of all Secrets; the rest is in `names` of main.tf."
  type        = string
  default     = ""
}

variable "storage_class" {
  description = "A storage class that several pods can write to; empty: the default of the cluster."
  type        = string
  default     = ""
}

variable "backup_claim" {
  description = "A claim of a volume that keeps the nightly backups; empty: there are none."
  type        = string
  default     = ""
}

variable "partitions" {
  description = "The partitions of the topic: more speed processes than these would wait idle."
  type        = number
  default     = 12
}

variable "speed_processes" {
  description = "How many processes share the partitions."
  type        = number
  default     = 3
  validation {
    condition     = var.speed_processes >= 1 && floor(var.speed_processes) == var.speed_processes
    error_message = "speed_processes has a wrong value; it is a whole number of at least 1."
  }
}

variable "batch_resident" {
  description = "Whether a driver stays and keeps Spark warm; otherwise a batch run starts every hour."
  type        = bool
  default     = true
}

variable "settings" {
  description = "Other settings of docs/reference/settings.md, for every process."
  type        = map(string)
  default     = {}
}

variable "notices" {
  description = "How payees are told: none; email, by the Secrets `postgres-notices` and `smtp`, with VIEWLEDGER_NOTICES_FROM in settings; webhook, by `postgres-notices` and `webhook`, with VIEWLEDGER_WEBHOOK_URL and VIEWLEDGER_WEBHOOK_SINCE."
  type        = string
  default     = "none"
  validation {
    condition     = contains(["none", "email", "webhook"], var.notices)
    error_message = "notices has a wrong value; it is none, email or webhook."
  }
}

variable "ingress" {
  description = "The hosts and the Secret with their certificate; null: no Ingress."
  type = object({
    class_name     = string
    collector_host = string
    api_host       = string
    tls_secret     = string
  })
  default = null
}
