"""Compare the ledger with its causes in PostgreSQL: statements, holds and payments; see the migration `causes`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

PROBLEMS_MAX = 1000


def posting_problems(cursor: "Cursor") -> list[str]:
    """Return a sentence for each transaction that has no cause or differs from it; at most 1,000.

    If there is none, every balance is the sum of the effects of statements, holds and payments.
    """
    cursor.execute("SELECT problem FROM billing.posting_problems LIMIT %s", (PROBLEMS_MAX,))
    return [problem for (problem,) in cursor]
