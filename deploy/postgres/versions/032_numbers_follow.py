"""Numbers that clients choose follow one another."""

from pathlib import Path

from alembic import op

revision = "032"
down_revision = "031"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
