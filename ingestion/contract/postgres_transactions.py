"""The settings of one transaction of PostgreSQL, as its own first statements.

They are not settings of the session: a pooler drops those that a client asks for when it connects, and gives the
session to another client after each transaction.
"""


def own_settings(
    *, statement_ms: int, lock_ms: int | None = None, role: str | None = None, is_read_only: bool = False
) -> str:
    """Return the statements that give a transaction UTC, its time-outs, and the rights of one role alone.

    They are sent before the transaction's first query: with it in one message, or in a transaction that has begun.
    """
    found = ["SET TRANSACTION READ ONLY"] if is_read_only else []
    found += [f"SET LOCAL statement_timeout = {statement_ms}", "SET LOCAL timezone = 'UTC'"]
    if lock_ms is not None:
        found.append(f"SET LOCAL lock_timeout = {lock_ms}")
    if role is not None:
        found.append(f'SET LOCAL ROLE "{role}"')
    return "".join(f"{each}; " for each in found)
