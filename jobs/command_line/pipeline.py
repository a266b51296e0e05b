"""Commands for events, counts and tables."""

from pathlib import Path

import click

from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import (
    AS_OF,
    JSON,
    NUMBER_OF_VERSION,
    VERSION,
    actor,
    choice,
    flag,
    number,
    option,
    path,
    reason,
)
from jobs.command_line.overview import OVERVIEW
from jobs.command_line.values import BackupId, BillingPeriod, DayOrAll, Name, PartitionOffset, PathName, TextValue

VIEWER_CHARACTERS_MAX = 128
"""An event names its viewer in at most as many."""
LABEL_CHARACTERS_MAX = 100
SQL_FORMATS = ("csv", "json", "table")
ATTEMPTS = number("--attempts", "tries when a server does not answer", 3, most=20)

INGEST = Command(
    "ingest",
    "jobs.commands.ingest:run",
    OVERVIEW["ingest"],
    click.Argument(
        ["file"], type=PathName(), metavar="FILE", help="events, one JSON object a line; - reads standard input"
    ),
    path("--rejects", "write every rejected line's number and reasons here"),
    number("--from-line", "begin at line N", 1, most=10**18 - 1),
    JSON,
)
DEAD_LETTERS = CommandGroup(
    "dead-letters",
    OVERVIEW["dead-letters"],
    Command(
        "list",
        "jobs.commands.dead_letters:list_letters",
        "list the newest rejected messages with their reasons; --json shows them in full",
        number("--limit", "how many", 20, most=1000),
        JSON,
    ),
    Command(
        "replay",
        "jobs.commands.dead_letters:replay",
        "send one message again under its own id, once",
        click.Argument(["place"], type=PartitionOffset(), metavar="PARTITION:OFFSET", help="as `list` shows it"),
        actor("who sends it again", required=True),
    ),
)
BATCH = CommandGroup(
    "batch",
    OVERVIEW["batch"],
    Command(
        "run",
        "jobs.commands.batch:run",
        "archive new events, count them and publish a version",
        ATTEMPTS,
        flag(
            "--begin-at-oldest",
            "let the first version begin where the log begins now, without what the broker has already deleted",
        ),
        option(
            "--judge-period",
            "judge the traffic of these days by all that has come, before they are billed; months need no request",
            type=BillingPeriod(),
        ),
        JSON,
    ),
    Command(
        "upgrade",
        "jobs.commands.batch:upgrade",
        "publish the tables of an earlier release again in today's layout, counted from the archive",
        ATTEMPTS,
        JSON,
    ),
    Command(
        "runs",
        "jobs.commands.batch_runs:run",
        "list the newest runs with their outcome, the seconds of each stage, and why one failed",
        number("--limit", "how many", 10, most=10_000),
        JSON,
    ),
    Command(
        "label",
        "jobs.commands.batch_label:run",
        "give a published version a name, which is shown wherever versions are listed",
        click.Argument(["version"], type=NUMBER_OF_VERSION, metavar="VERSION", help="as `versions` shows it"),
        click.Argument(["label"], type=Name(LABEL_CHARACTERS_MAX), metavar="LABEL", help='such as "October report"'),
        actor("who names it"),
        JSON,
    ),
    Command(
        "versions",
        "jobs.commands.batch:show_versions",
        "list the newest published versions",
        number("--limit", "how many", 10, most=10_000),
        JSON,
    ),
)
MAINTAIN = Command("maintain", "jobs.commands.maintain:run", OVERVIEW["maintain"], ATTEMPTS, JSON)
BACKUP = Command(
    "backup",
    "jobs.commands.backup:run",
    f"{OVERVIEW['backup']}; docs/operate/backup.md says what is in it",
    path("--to", "a folder of this machine, new or with earlier backups", metavar="PLACE", required=True),
    path("--keys-to", "copy the keys, too, to a new folder elsewhere", metavar="FOLDER"),
    JSON,
)
RESTORE = Command(
    "restore",
    "jobs.commands.restore:run",
    f"{OVERVIEW['restore']}; docs/operate/backup.md goes on from there",
    click.Option(
        ["--from", "place"],
        type=PathName(path_type=Path),
        metavar="PLACE",
        required=True,
        help="the folder that `backup --to` named",
    ),
    option("--backup", "which one, as its folder is called (default: the newest)", type=BackupId(), metavar="ID"),
    actor("who restores it", required=True),
    reason(),
    JSON,
)
FORGET = Command(
    "forget",
    "jobs.commands.forget:run",
    f"{OVERVIEW['forget']}; docs/operate/erasure.md says what is removed and when",
    option("--viewer", "the viewer as the events name them, a pseudonym", type=TextValue(VIEWER_CHARACTERS_MAX)),
    option(
        "--user",
        "instead: the viewer as your platform knows them; VIEWLEDGER_PSEUDONYM_KEY makes the pseudonym",
        type=TextValue(VIEWER_CHARACTERS_MAX),
    ),
    actor("who removes it", required=True),
    reason(),
    ATTEMPTS,
    JSON,
)
RECONCILE = Command(
    "reconcile",
    "jobs.commands.reconcile:run",
    OVERVIEW["reconcile"],
    option(
        "--day", "one UTC day only, like 2026-11-20, or all", type=DayOrAll(), default=DayOrAll.all, show_default=True
    ),
    flag("--repair", "first make the tables show the version, without later additions, and note its groups of traffic"),
    JSON,
)
AUDIT = CommandGroup(
    "audit",
    OVERVIEW["audit"],
    Command(
        "ids",
        "jobs.commands.audit:run",
        "name the ids that are counted more than once, over all days of the current version",
        JSON,
    ),
)
REBUILD = CommandGroup(
    "rebuild",
    OVERVIEW["rebuild"],
    Command(
        "speed",
        "jobs.commands.rebuild_speed:run",
        "drop the speed layer's counts and wait until they are counted again from the log",
        number("--within", "give up after this time", 300, most=86_400, metavar="SECONDS"),
        JSON,
    ),
    Command(
        "batch",
        "jobs.commands.rebuild_batch:run",
        "count everything again from the archive and compare it with the published version; publishes nothing",
        ATTEMPTS,
        JSON,
    ),
)
SQL = Command(
    "sql",
    "jobs.commands.sql.command:run",
    f"{OVERVIEW['sql']}; docs/operate/analysts.md describes the allowed SQL, docs/reference/tables.md the tables",
    click.Argument(
        ["statement"],
        required=False,
        help="one or more statements; without it they are read from the terminal or stdin",
    ),
    VERSION,
    AS_OF,
    choice("--format", "how rows are printed", SQL_FORMATS, default="table"),
    number("--limit", "rows of an answer at most; 0 for all", 1_000, least=0, most=100_000_000),
)
EXPORT = Command(
    "export",
    "jobs.commands.export:run",
    OVERVIEW["export"],
    VERSION,
    AS_OF,
    path("--to", "a folder that does not exist yet", metavar="DIR", required=True),
    option("--tables", "which tables, separated by commas (default: all)"),
    JSON,
)

COMMANDS = (INGEST, DEAD_LETTERS, BATCH, MAINTAIN, BACKUP, RESTORE, FORGET, RECONCILE, AUDIT, REBUILD, SQL, EXPORT)
