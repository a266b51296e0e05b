"""Writes docs/tables.md from the tables' own comments: `python -m jobs.tables_page`. A test compares the two."""

from batch_layer.lake.tables import TABLES, Table
from jobs.settings.state_home import PROJECT

PAGE = PROJECT / "docs" / "tables.md"
HEAD = """\
# The batch tables

Written by `python -m jobs.tables_page` from the tables' own comments; not to be changed by hand. How to ask them:
[analysts.md](analysts.md). All instants are UTC.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(name, table) for name, table in TABLES.items())])


def _section(name: str, table: Table) -> str:
    rows = [f"| `{each.name}` | {each.type} | {each.comment} |" for each in table.columns]
    head = [f"## {name}", "", f"{table.comment}. Partitioned by `{table.partitioning}`.", ""]
    return "\n".join([*head, "| column | type | meaning |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
