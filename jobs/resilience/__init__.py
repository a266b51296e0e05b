"""Retries, circuit breakers, bounded waits and fail points."""
