"""Merge settled and provisional counts, and serve them by the API."""
