"""Write tables.md and refusals.md of docs/reference: `python -m jobs.tables_page`. A test compares them."""

import textwrap

from batch_layer.lake.table_records import Table
from batch_layer.lake.tables import TABLES
from ingestion.contract.refusals import DatabaseRule
from jobs.settings.state_home import PROJECT

PAGE = PROJECT / "docs" / "reference" / "tables.md"
HEAD = """\
# The batch tables

Written by `python -m jobs.tables_page` from the tables' own comments; not to be changed by hand.
[Analysts](../operate/analysts.md) shows how to query them. All instants are UTC.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(name, table) for name, table in TABLES.items())])


REFUSALS = PROJECT / "docs" / "reference" / "refusals.md"
REFUSALS_HEAD = """\
# What the database refuses

Written by `python -m jobs.tables_page` from `ingestion/contract/refusals.py`; not to be changed by
hand.

PostgreSQL keeps these rules itself, by triggers and functions, whatever program or person writes.
A refusal has an SQLSTATE of its own: programs go by it, commands show it in brackets behind the
sentence, and `psql` shows it after `\\set VERBOSITY verbose`. A code keeps its meaning and is never
used again; its sentence may be reworded. All other refusals have PostgreSQL's own codes: `42501`
for a right that a role does not have, `23…` for a constraint of a table.

A rule is added by a migration that raises with the next free code, and a row in that file.
"""
GROUPS = {
    "VL00": "What is published",
    "VL01": "API keys and sessions",
    "VL1": "Catalogue, contracts, bank accounts, limits",
    "VL2": "Steps, and who may take them",
    "VL3": "Runs and statements",
    "VL4": "Ledger, holds, payouts",
}
"""Prefixes of codes → their subject."""


def refusals_page() -> str:
    """Return the page of the database's own rules."""
    sections = []
    for start, title in GROUPS.items():
        rules = [rule for rule in DatabaseRule if rule.sqlstate.startswith(start)]
        rows = [f"| `{rule.sqlstate}` | {rule.demands} | {rule.remedy} |" for rule in rules]
        sections.append("\n".join([f"## {title}", "", "| code | rule | what to do |", "|---|---|---|", *rows, ""]))
    return "\n".join([REFUSALS_HEAD, *sections])


def _section(name: str, table: Table) -> str:
    rows = [f"| `{each.name}` | {each.type} | {each.comment} |" for each in table.columns]
    head = [f"## {name}", "", _wrapped(f"{table.comment}. Partitioned by `{table.partitioning}`."), ""]
    return "\n".join([*head, "| column | type | meaning |", "|---|---|---|", *rows, ""])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page())
    REFUSALS.write_text(refusals_page())
