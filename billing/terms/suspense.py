"""The platform's own account for billable views without an owner: the amount is owed, and waits for its owner."""

SUSPENSE = "suspense:unattributed"
"""Takes the place of a payee; no payee can have this id, since an id has no colon. It is also the account's name."""
