"""Attacks: named attempts of strangers and insiders, each with a real sender or a real login."""
