"""Logs, and metrics of processes that have ended."""
