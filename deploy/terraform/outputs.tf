output "values" {
  description = "Values for deploy/helm."
  value       = yamlencode(local.values)
}
