"""Compares what must be there with what was found, and names what differs."""
