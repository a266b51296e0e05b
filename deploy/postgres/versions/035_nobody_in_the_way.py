"""Locks that only writers can take, days that every program can read, and what was there before is not new."""

from pathlib import Path

from alembic import op

revision = "035"
down_revision = "034"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
