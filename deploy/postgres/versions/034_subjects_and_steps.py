"""Steps have their subjects, subjects their first steps; what is posted is replaced by a second person alone."""

from pathlib import Path

from alembic import op

revision = "034"
down_revision = "033"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
