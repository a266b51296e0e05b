"""Periods: billing them, estimating and restating them, and the events in them that wait for a decision."""

import click

from jobs.command_line.billing.terms import COUNT_MAX, WORK
from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import JSON, actor, flag, number, option, path, period, reason
from jobs.command_line.values import Name, OneOf

CAUSE_CHARACTERS_MAX = 500


def _refuse_waiver(_context: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> None:
    if values:
        raise click.BadParameter(
            f"has nothing to waive: {values[0]!r}; no event keeps a period from being billed, leave the flag out"
        )


_WAIVE = click.Option(["--waive"], multiple=True, hidden=True, expose_value=False, callback=_refuse_waiver)
"""Accepted for scripts of earlier releases."""

RUN = Command(
    "run",
    f"{WORK}.run:run_period",
    "rate a closed period and post what is owed, once",
    period(),
    flag("--dry-run", "calculate everything and store nothing"),
    actor("who runs it"),
    _WAIVE,
    JSON,
)
RESTATE = Command(
    "restate",
    f"{WORK}.run:restate_period",
    "calculate a billed period again from the current version",
    period(),
    flag("--preview", "show the differences, store nothing"),
    option("--cause", "the cause; payees see it", type=Name(CAUSE_CHARACTERS_MAX), required=True),
    number("--catalogue", "rate by this catalogue version (default: that of the statements)", None, most=COUNT_MAX),
    number("--contract", "rate by this contract version (default: that of the statements)", None, most=COUNT_MAX),
    actor("who runs it"),
    _WAIVE,
    JSON,
)
BACKTEST = Command(
    "backtest",
    f"{WORK}.backtest:backtest_period",
    "calculate what other terms would have paid, payee by payee",
    period(),
    path("--contract", "contracts that are not in force", metavar="YAML"),
    path("--policy", "a counting policy that is not in force", metavar="YAML"),
    path(
        "--traffic-policy",
        "what changes in the policy of traffic, as for `traffic policy propose`; by itself",
        metavar="YAML",
    ),
    JSON,
)
NIGHTLY = Command(
    "nightly",
    f"{WORK}.nightly:run_night",
    "bill the closed months, estimate the open ones; for cron",
    actor("who runs it; cannot approve anything above the limit"),
    JSON,
)


def _places(command: str) -> click.Option:
    return click.Option(
        ["--event", "events"],
        multiple=True,
        metavar="PLACE",
        help=f"as `billing {command} list` shows it; may be repeated (default: all undecided)",
    )


LATE = CommandGroup(
    "late",
    "events that came too late to be counted",
    Command("list", f"{WORK}.late:list_late", "list them with their decisions", period(), JSON),
    Command(
        "decide",
        f"{WORK}.late:decide_late",
        "decide on some or all of them",
        period(),
        _places("late"),
        click.Option(["--as", "decision"], type=OneOf(("accepted", "rejected")), required=True, help="the decision"),
        reason(),
        actor("who decides"),
        JSON,
    ),
)
CONFLICTS = CommandGroup(
    "conflicts",
    "events whose id was used before with another content",
    Command("list", f"{WORK}.conflicts:list_conflicts", "list their differences and decisions", period(), JSON),
    Command(
        "decide",
        f"{WORK}.conflicts:decide_conflicts",
        "confirm that the first event of an id stays",
        period(),
        _places("conflicts"),
        reason(),
        actor("who decides"),
        JSON,
    ),
)
