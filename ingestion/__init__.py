"""Ingestion: the contract that every layer shares, the HTTP collector, and the Kafka producer."""
