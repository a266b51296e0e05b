"""Statements and their states, and the ledger: what was billed, approved and posted, for good."""
