"""`./viewledger export --version N --to DIR`: write tables of a published version as Parquet files."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from batch_layer.lake.tables import CLOSED_TABLES, OPEN_TABLES, TABLES
from batch_layer.published.spark_parquet_export import ExportedTable, export_table
from ingestion.contract.printable import counted
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.sql_session import SqlSession, errors_as_exit_codes, sql_session
from jobs.wiring.sql_version import VersionChoice

MANIFEST = "manifest.json"


def run(*, version: int | None, as_of: datetime | None, to: Path, tables: str | None, as_json: bool) -> ExitCode:
    """Export; DIFFERENCE if a table's rows differ in number from the version's record, and DIR is then removed."""
    names = None if tables is None else chosen_tables(tables)
    choice = VersionChoice.of(version, as_of)
    partial = new_folder(to)
    try:
        with sql_session(settings.environment(), choice) as session:
            manifest = _exported(session, names, partial)
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        partial.rename(to)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if as_json:
        print(json.dumps(manifest))
    else:
        rows = sum(table["rows"] for table in manifest["tables"].values())
        print(f"version {manifest['version']}: {counted(rows, 'row')} of {len(manifest['tables'])} tables in {to}")
    return ExitCode.OK


def chosen_tables(text: str) -> tuple[str, ...]:
    """Return the tables' names, each once; raise CommandError(BAD_INPUT) for one that analysts may not read."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name in CLOSED_TABLES:
            raise CommandError(
                f"{name} holds messages as their senders wrote them and is closed to analysts; "
                "docs/operate/analysts.md says who may read it",
                ExitCode.BAD_INPUT,
            )
        if name not in OPEN_TABLES:
            raise CommandError(f"there is no table {name!r}; there are {', '.join(OPEN_TABLES)}", ExitCode.BAD_INPUT)
    return names


def new_folder(target: Path) -> Path:
    """Create the folder that becomes `target` when everything is in it."""
    if target.exists():
        raise CommandError(f"{target} exists already; an export makes a folder of its own", ExitCode.BAD_INPUT)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise CommandError(f"cannot write to {target.parent} ({error.strerror})", ExitCode.BAD_INPUT) from error
    return partial


def tables_of(names: Sequence[str] | None, published: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the tables to export of a published version: the named ones, or all that it has.

    Raises:
        CommandError: the version is of a release without a named one.
    """
    there = tuple(name for name in OPEN_TABLES if name in published["rows"])
    for name in names or ():
        if name not in there:
            raise CommandError(
                f"version {published['version']} is of a release without the table {name}; it has {', '.join(there)}",
                ExitCode.BAD_INPUT,
            )
    return there if names is None else tuple(names)


def _exported(session: SqlSession, names: Sequence[str] | None, folder: Path) -> dict[str, Any]:
    published = next(each for each in session.snapshots.manifests() if each["version"] == session.version)
    tables = {}
    for name in tables_of(names, published):
        with errors_as_exit_codes():
            exported = export_table(session.tables.batches(f"SELECT * FROM {name}"), folder / name)  # noqa: S608
        if exported.row_count != published["rows"][name]:
            raise CommandError(
                f"{name} has {counted(exported.row_count, 'row')} and version {session.version} says "
                f"{published['rows'][name]}",
                ExitCode.DIFFERENCE,
            )
        tables[name] = _described(name, exported)
        print(f"export: {name}: {counted(exported.row_count, 'row')}", file=sys.stderr, flush=True)
    return {name: each for name, each in published.items() if name != "rows"} | {"tables": tables}


def _described(name: str, exported: ExportedTable) -> Mapping[str, Any]:
    columns = [{"name": each.name, "type": each.type, "comment": each.comment} for each in TABLES[name].columns]
    files = [
        {"path": f"{name}/{each.path.name}", "rows": each.row_count, "sha256": each.sha256} for each in exported.files
    ]
    return {"comment": TABLES[name].comment, "rows": exported.row_count, "files": files, "columns": columns}
