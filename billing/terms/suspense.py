"""The platform's own account of what is counted, billable and nobody's: it is owed, and waits for its owner."""

SUSPENSE = "suspense:unattributed"
"""Stands where a payee would; no payee can have this id, for an id has no colon. It is the name of the account too."""
