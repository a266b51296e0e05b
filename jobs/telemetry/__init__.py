"""Logs, and figures of what has ended."""
