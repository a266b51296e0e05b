"""Statements, the ledger, and holds and appeals."""

import click

from jobs.command_line.billing.terms import COUNT_MAX, WORK
from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import CURRENCY, JSON, actor, choice, number, option, payee, period, reason
from jobs.command_line.values import Day, OneOf, TextValue

STATES = ("approved", "calculated", "finalised", "held", "in_review", "paid", "superseded", "voided")
HOLD_DAYS_MAX = 366
OBJECTION_CHARACTERS_MAX = 2000


def _decision(name: str, text: str) -> Command:
    """Return a command that moves the statements of a period, or those of some payees."""
    return Command(
        name,
        f"{WORK}.statements:{name}",
        text,
        period(),
        payee("may be repeated (default: all of the period)", multiple=True),
        actor("who decides; above the approval limit, not the person who ran the billing"),
        reason(required=False),
        JSON,
    )


STATEMENTS = CommandGroup(
    "statements",
    "the amounts owed to payees for a period, and the decisions about them",
    Command(
        "list",
        f"{WORK}.statements:list_statements",
        "list the statements that are in one state",
        choice("--state", "which state", STATES, default="in_review"),
        period(required=False),
        JSON,
    ),
    Command(
        "show",
        f"{WORK}.statements:show_statement",
        "show one payee's statement, line by line, and its steps",
        payee("whose statement", required=True),
        period(),
        number(
            "--restatement",
            "which restatement; 0 is the first statement (default: newest)",
            None,
            least=0,
            most=COUNT_MAX,
        ),
        JSON,
    ),
    _decision("approve", "approve statements that wait in review, and post them"),
    _decision("void", "void statements that are not posted: nothing will be paid for them"),
    _decision("review", "put statements that were held into review"),
)
NOTICES = CommandGroup(
    "notices",
    "what payees are told: restatements in the portal, and their money by e-mail or webhook",
    Command(
        "list",
        f"{WORK}.statements:list_notices",
        "list the restatements that payees see in the portal",
        payee("whose notices (default: of all payees)"),
        JSON,
    ),
    Command("send", f"{WORK}.notices:send_notices", "send what is due by e-mail or webhook; for cron", JSON),
    Command(
        "sent",
        f"{WORK}.notices:list_sent",
        "list what is sent, and whether it was delivered",
        payee("whose notices (default: of all payees)"),
        choice("--state", "in which state (default: any)", ("waiting", "delivered", "refused")),
        JSON,
    ),
)
LEDGER = CommandGroup(
    "ledger",
    "the double-entry ledger",
    Command("totals", f"{WORK}.ledger:show_totals", "show all totals, and whether they add up", JSON),
    Command(
        "balances",
        f"{WORK}.ledger:show_balances",
        "show every account's balance, now or on a day",
        option("--as-of", "what was posted up to the end of this UTC day", type=Day()),
        option("--effective", "only what was effective up to the end of this UTC day", type=Day()),
        JSON,
    ),
)


def _outcome(name: str, words: tuple[str, ...], text: str) -> list[click.Parameter]:
    """Return the flags of every decision about one hold or appeal."""
    return [
        option(f"--{name}", "as `list` shows it", required=True, metavar="ID"),
        click.Option(["--as", "decision"], type=OneOf(words), required=True, help=text),
        reason(),
        actor("who decides"),
        JSON,
    ]


HOLDS = CommandGroup(
    "holds",
    "owed amounts that are kept from being paid, for a time",
    Command(
        "list",
        f"{WORK}.holds:list_holds",
        "list all holds with their states",
        payee("whose holds (default: of all payees)"),
        JSON,
    ),
    Command(
        "place",
        f"{WORK}.holds:place_hold",
        "keep an owed amount from being paid, for a time",
        payee("whose amount", required=True),
        CURRENCY,
        option("--amount", "in whole units, like 12.50", required=True, metavar="NUMBER"),
        number("--days", "after how many days it expires", 30, most=HOLD_DAYS_MAX),
        reason(),
        actor("who places the hold"),
        JSON,
    ),
    Command(
        "decide",
        f"{WORK}.holds:decide_hold",
        "release a hold, or void it: then it is no longer owed",
        *_outcome("hold", ("released", "voided"), "the decision"),
    ),
)
APPEALS = CommandGroup(
    "appeals",
    "objections of payees to their statements",
    Command(
        "list",
        f"{WORK}.appeals:list_appeals",
        "list all appeals with their states",
        payee("whose appeals (default: of all payees)"),
        JSON,
    ),
    Command(
        "record",
        f"{WORK}.appeals:record_appeal",
        "record a payee's objection to a statement",
        option("--statement", "as `billing statements show` shows it", required=True, metavar="ID"),
        option("--objection", "in the payee's words", type=TextValue(OBJECTION_CHARACTERS_MAX), required=True),
        actor("who objects, or who records the objection"),
        JSON,
    ),
    Command(
        "decide",
        f"{WORK}.appeals:decide_appeal",
        "decide an appeal",
        *_outcome("appeal", ("accepted", "rejected", "withdrawn"), "the decision"),
    ),
)
