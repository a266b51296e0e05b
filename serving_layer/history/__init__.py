"""Counts over time, and as they were published."""
