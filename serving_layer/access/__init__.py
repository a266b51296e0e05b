"""Callers and their rights."""
