"""A database as the last release left it, with rows that this release's program can no longer write there."""

import shutil
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2 import sql

from jobs.wiring.migrations import MIGRATIONS, migrate

LAST_RELEASE = "021"
"""The newest migration of the last release."""
TABLES = (
    "published.versions", "billing.catalogue_versions", "billing.rate_cards", "billing.runs", "billing.statements",
    "billing.payment_audit", "billing.transitions", "billing.transactions", "billing.entries", "billing.journal",
)  # fmt: skip
KINDS = ("version", "catalogue", "contract", "run", "statement", "transaction", "transition")
"""What the journal of the last release notes of these tables."""


def migrate_to_last_release(url: str, folder: Path, release: str = LAST_RELEASE) -> None:
    """Bring an empty database to the schema of the last release, or to another migration.

    `folder` is one that is not there yet.
    """
    shutil.copytree(MIGRATIONS, folder)
    for file in (folder / "versions").glob("[0-9]*"):
        if file.name[:3] > release:
            file.unlink()
    migrate(url, folder)


def copy_books(new_url: str, old_superuser_url: str) -> None:
    """Copy what both schemas have of the books: no column, kind of step or kind of record that came later."""
    with (
        closing(psycopg2.connect(new_url)) as new,
        closing(psycopg2.connect(old_superuser_url)) as old,
        new.cursor() as source,
        old,
        old.cursor() as target,
    ):
        target.execute("SET session_replication_role = replica")
        for table in TABLES:
            target.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                (table,),
            )
            columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in target.fetchall())
            name = sql.Identifier(*table.split("."))
            kept = {
                "billing.transitions": "WHERE subject_kind = 'statement'",
                "billing.journal": f"WHERE kind IN {KINDS} AND (kind <> 'transition' OR key LIKE 'statement %')",
            }.get(table, "")
            lines = sql.SQL("SELECT to_jsonb(kept)::text FROM (SELECT {} FROM {} {}) AS kept")
            source.execute(lines.format(columns, name, sql.SQL(kept)))
            for (row,) in source.fetchall():
                values = (
                    "INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM jsonb_populate_record(NULL::{0}, %s)"
                )
                target.execute(sql.SQL(values).format(name, columns), (row,))
        target.execute(
            "SELECT setval(pg_get_serial_sequence('billing.journal', 'position'), max(position)) FROM billing.journal"
        )
