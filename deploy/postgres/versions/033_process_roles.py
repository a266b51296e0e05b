"""A role for each process and person; API keys in the journal."""

from pathlib import Path

from alembic import op

revision = "033"
down_revision = "032"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
