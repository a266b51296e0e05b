image         = { repository = "registry.example.com/viewledger", tag = "0.1.0" }
kafka_brokers = ["kafka-1:9092", "kafka-2:9092", "kafka-3:9092"]
hdfs_url      = "hdfs://namenode:8020"
settings      = { VIEWLEDGER_TRUSTED_PROXIES = "10.0.0.1" }
ingress = {
  class_name     = "nginx"
  collector_host = "events.example.com"
  api_host       = "api.example.com"
  tls_secret     = "tls"
}
