"""The role of the SQL server for analysts: it reads the catalogue and what was published."""

from pathlib import Path

from alembic import op

revision = "019"
down_revision = "018"


def upgrade() -> None:
    """Execute the SQL file beside this one, as it stands."""
    sql = Path(__file__).with_suffix(".sql").read_text()
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
