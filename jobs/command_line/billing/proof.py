"""What lets somebody else check the books."""

import click

from jobs.command_line.billing.terms import WORK
from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, choice, number, option, path, period
from jobs.command_line.values import Day, EventId, StatementId

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
        path("--key", "the new private key, which is there already", required=True),
        path("--old", f"the key in force {KEY_IN_FORCE}"),
        JSON,
    ),
)
PROOF = CommandGroup(
    "proof",
    "signed checkpoints, and everything that recomputes a period",
    KEYS,
    Command(
        "checkpoint",
        f"{WORK}.proof:make",
        "sign what was recorded since the last checkpoint, keep it elsewhere",
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
        "write everything that recomputes a period, as files in a new folder",
        period(),
        path("--to", "a folder that is not there yet, or empty", metavar="DIR", required=True),
        JSON,
    ),
)
EVENTS = CommandGroup(
    "events",
    "the events behind a payment",
    Command(
        "list",
        f"{WORK}.events:list_events",
        "list the events that a statement pays, one a line",
        option("--statement", "its 32 hex digits", type=StatementId(), required=True),
        number("--after", "go on after the event with this number", 0, least=0, most=AFTER_MAX),
        choice("--format", "of the lines", ("csv", "ndjson"), default="csv"),
        JSON,
    ),
    Command(
        "show",
        f"{WORK}.events:show_event",
        "show what became of one event: paid in which line, or why not",
        click.Argument(["event_id"], type=EventId(), metavar="EVENT_ID", help="a UUID"),
        JSON,
    ),
)
