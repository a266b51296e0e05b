"""The means by which others check the books."""

import click

from jobs.command_line.billing.terms import WORK
from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, choice, number, option, path, period
from jobs.command_line.values import Day, EventId, OneOf, StatementId

PLACES = "a folder, webhdfs://host:port/folder, or git: and the URL or path of a git repository"
AFTER_MAX = 10**12
KEY_IN_FORCE = "(default: VIEWLEDGER_SIGNING_KEY)"

KEYS = CommandGroup(
    "keys",
    "the key that signs checkpoints",
    Command(
        "create",
        f"{WORK}.proof:create_signing_key",
        "make a signing key",
        path("--key", "the new private key", required=True),
        JSON,
    ),
    Command(
        "change",
        f"{WORK}.proof:change_signing_key",
        "put another signing key in force",
        path("--key", "the new private key, which already exists", required=True),
        path("--old", f"the key in force {KEY_IN_FORCE}"),
        JSON,
    ),
)
PROOF = CommandGroup(
    "proof",
    "signed checkpoints, and everything needed to recompute a period",
    KEYS,
    Command(
        "checkpoint",
        f"{WORK}.proof:make",
        "sign what was recorded since the last checkpoint, and store the checkpoint elsewhere",
        option("--day", "the UTC day that it closes (default: today)", type=Day()),
        option("--to", PLACES, required=True, metavar="PLACE"),
        path("--key", f"the private key {KEY_IN_FORCE}"),
        JSON,
    ),
    Command(
        "verify",
        f"{WORK}.proof:verify_books",
        "compare the books in PostgreSQL with their signed checkpoints",
        option("--kept", f"checkpoints kept elsewhere: {PLACES}", metavar="PLACE"),
        JSON,
    ),
    Command(
        "export",
        f"{WORK}.export:export_period",
        "write everything needed to recompute a period, as files in a new folder",
        period(),
        path("--to", "a new or empty folder", metavar="DIR", required=True),
        click.Option(
            ["--for", "reader"],
            type=OneOf(("payee", "auditor")),
            default="payee",
            show_default=True,
            help="who gets it; one for an auditor has the thresholds of traffic and what its rules saw",
        ),
        JSON,
    ),
    Command(
        "bundle",
        f"{WORK}.export:export_statement",
        "write everything that checks one statement, and nothing of other payees, into a new file",
        option("--statement", "its 32 hex digits", type=StatementId(), required=True),
        path("--to", "a new file", required=True),
        JSON,
    ),
)
EVENTS = CommandGroup(
    "events",
    "the events behind a payment",
    Command(
        "list",
        f"{WORK}.events:list_events",
        "list the events that a statement pays, one per line",
        option("--statement", "its 32 hex digits", type=StatementId(), required=True),
        number("--after", "continue after the event with this number", 0, least=0, most=AFTER_MAX),
        choice("--format", "of the lines", ("csv", "ndjson"), default="csv"),
        JSON,
    ),
    Command(
        "show",
        f"{WORK}.events:show_event",
        "show the result of one event: the line that pays it, or why none does",
        click.Argument(["event_id"], type=EventId(), metavar="EVENT_ID", help="a UUID"),
        JSON,
    ),
)
