"""Receipts: the collector's promise that an event is in the log, and its keys."""

from pathlib import Path

import click

from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, option, path
from jobs.command_line.overview import OVERVIEW
from jobs.command_line.values import KeyId, PathName

RECEIPTS = CommandGroup(
    "receipts",
    OVERVIEW["receipts"],
    Command(
        "check",
        "jobs.commands.receipts:check",
        "check that every receipted event is in the log as it was receipted, with one verdict",
        click.Argument(
            ["files"],
            nargs=-1,
            required=True,
            type=PathName(path_type=Path),
            metavar="FILE...",
            help="the `receipt` of one answer a line, as JSON",
        ),
        path("--keys", "the keys that signed, a JWK Set (default: VIEWLEDGER_RECEIPT_KEYS_FILE)"),
        JSON,
    ),
    CommandGroup(
        "keys",
        "the keys that sign receipts",
        Command(
            "create",
            "jobs.commands.receipt_keys:create",
            "make a key that signs from the collector's next start on; former keys of the file keep their public half",
            path("--key", "the JWK Set, which is made if it does not exist", required=True),
            option("--kid", "the new key's id, such as 2026-11", type=KeyId(), required=True),
            JSON,
        ),
    ),
)

COMMANDS = (RECEIPTS,)
