"""Access to the API: keys for machines, and tokens for development."""

import click

from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, choice, number, option, payee
from jobs.command_line.overview import OVERVIEW
from jobs.command_line.values import Name

ROLES = ("auditor", "creator", "finance", "operator", "reviewer")
SCOPES = (
    "accounts:write",
    "appeals:write",
    "approvals:write",
    "billable:read",
    "catalogue:write",
    "counts:read",
    "events:read",
    "operations:read",
    "operations:write",
    "plays:write",
    "statements:read",
    "traffic:write",
)
KEYS_OF_AN_OWNER = 2
KEY_DAYS_MAX = 730
TOKEN_MINUTES_MAX = 24 * 60
SUBJECT_CHARACTERS_MAX = 255

KEYS = CommandGroup(
    "keys",
    OVERVIEW["keys"],
    Command(
        "create",
        "jobs.commands.keys:create",
        f"make a key; an owner has at most {KEYS_OF_AN_OWNER} live ones",
        option("--owner", "the program that will use it, such as nightly-export", required=True),
        choice("--scope", "what it may do; may be repeated", SCOPES, multiple=True, required=True),
        payee("bind it to one payee; without this flag it sees every payee"),
        number("--days", "how long it holds", 90, most=KEY_DAYS_MAX),
        JSON,
    ),
    Command("list", "jobs.commands.keys:list_keys", "list all keys; secrets cannot be shown", JSON),
    Command(
        "revoke",
        "jobs.commands.keys:revoke",
        "revoke a key permanently; takes effect within seconds",
        click.Argument(["key_id"], metavar="KEY-ID", help="the 16 digits between `vlk_` and the secret"),
        JSON,
    ),
)
TOKEN = Command(
    "token",
    "jobs.commands.token:run",
    OVERVIEW["token"],
    choice("--role", "what the holder may do; analysts need no token (docs/operate/analysts.md)", ROLES, required=True),
    payee("the payee that the token is bound to; creators need one"),
    option(
        "--subject",
        "who the holder is, for logs",
        type=Name(SUBJECT_CHARACTERS_MAX),
        default="developer",
        show_default=True,
    ),
    number("--minutes", "how long it holds", 60, most=TOKEN_MINUTES_MAX),
    JSON,
)

COMMANDS = (KEYS, TOKEN)
