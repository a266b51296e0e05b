"""Run a migration in SQL; the file that alembic loads holds only its revision, the one before, and this call."""

from collections.abc import Callable
from pathlib import Path

from alembic import op


def sql_beside(file: str) -> Callable[[], None]:
    """Return alembic's `upgrade` that executes the SQL file beside `file` unchanged, including `%` and `:name`."""

    def upgrade() -> None:
        sql = Path(file).with_suffix(".sql").read_text()
        op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})

    return upgrade
