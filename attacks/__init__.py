"""Attacks: what a stranger, a spelling or an insider could try, each a named one with a real sender or a real login."""
