"""`./viewledger billing late | late-decide`: events that came too late, visible until somebody decides about them."""

import argparse
from collections.abc import Mapping

from billing.period_billing import place_of
from ingestion.contract.counting import ACCEPTABLE_FROM
from jobs.commands.billing.reviews import Pool, add_decision_flags, decide, show_pool
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import Actions, actor_of, add_action, add_actor, add_period, period_of
from jobs.wiring.settled_views import open_settled_views

POOL = Pool(
    "late_event",
    "late event",
    "billing late",
    {"accepted": "accepted; the next batch run counts them, and `restate` recalculates a billed period"},
)


def add_actions(actions: Actions) -> None:
    """Declare `late` and `late-decide`."""
    listing = add_action(actions, "late", list_late, "events of a period that came too late to be counted")
    add_period(listing)
    parser = add_action(actions, "late-decide", decide_late, "decide about events that came too late")
    add_period(parser)
    add_decision_flags(parser, "late")
    parser.add_argument("--as", dest="decision", required=True, choices=("accepted", "rejected"))
    add_actor(parser, "who decides")


def list_late(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print every late event of the period and what was decided."""
    with open_settled_views(environ) as views:
        events = sorted(views.late_events(period_of(arguments)), key=lambda each: (each.partition, each.offset))
    show_pool(arguments, environ, POOL, events, {})
    return ExitCode.OK


def decide_late(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Store a decision for each event; one that is not in the period's pool refuses all."""
    period, _ = period_of(arguments), actor_of(arguments)  # both are looked at before any server is asked
    with open_settled_views(environ) as views:
        happened_at = {place_of(each): each.happened_at for each in views.late_events(period)}
    wanted = arguments.event or list(happened_at)
    too_early = [place for place in wanted if place in happened_at and happened_at[place] < ACCEPTABLE_FROM]
    if arguments.decision == "accepted" and too_early:
        raise CommandError(
            f"late event {too_early[0]} claims a time before {ACCEPTABLE_FROM:%Y-%m-%d}, when no counting policy was "
            "in force; it can only be rejected",
            ExitCode.BAD_INPUT,
        )
    decide(arguments, environ, POOL, happened_at, arguments.decision)
    return ExitCode.OK
