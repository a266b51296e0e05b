"""The fault and attack commands; their work is part of a checkout and not of an image."""

import click

from jobs.command_line.frame import Command
from jobs.command_line.options import JSON, flag, number
from jobs.command_line.overview import OVERVIEW

COUNT_MAX = 100_000
LIST = click.Option(["--list", "listed"], is_flag=True, help="list their names and exit")
RECORD = click.Option(
    ["--record", "recorded"], is_flag=True, help="keep the results and write them into docs/concepts/guarantees.md"
)

FAULTS = Command(
    "faults",
    "faults.command:run",
    OVERVIEW["faults"],
    click.Argument(
        ["names"], nargs=-1, metavar="[NAME]...", help="faults, or beginnings of their names (default: all); or soak"
    ),
    LIST,
    flag("--quick", "only two faults that take seconds, one seed each"),
    number("--seeds", "runs of each fault, each with its own seed", 5, most=COUNT_MAX),
    number("--seed", "the first seed", 20261124, least=0, most=10**18 - 1),
    number("--minutes", "of a soak", 20, most=COUNT_MAX),
    number("--rate", "events a second of a soak", 10_000, most=COUNT_MAX),
    RECORD,
    JSON,
)
ATTACKS = Command(
    "attacks",
    "attacks.command:run",
    OVERVIEW["attacks"],
    click.Argument(["names"], nargs=-1, metavar="[NAME]...", help="attacks, or beginnings of names (default: all)"),
    LIST,
    flag("--quick", "leave out attacks that take minutes"),
    RECORD,
    JSON,
)

COMMANDS = (FAULTS, ATTACKS)
