"""Statements and their states, and the ledger: everything billed, approved and posted, permanently."""
