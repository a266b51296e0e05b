"""`./viewledger billing conflicts | conflict-decide`: one id, two contents; whether it may stay as it is counted."""

import argparse
from collections.abc import Mapping

from billing.books.states import FIRST_KEPT
from billing.period_billing import place_of
from jobs.commands.billing.reviews import Pool, add_decision_flags, decide, show_pool
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import Actions, actor_of, add_action, add_actor, add_period, period_of
from jobs.wiring.settled_views import open_settled_views

POOL = Pool(
    "conflict",
    "conflict",
    "billing conflicts",
    {FIRST_KEPT: "decided: the first event of each id stays, as it is counted"},
)
NOT_KEPT = "referrer, quality, ads or schema_version"
"""What the batch tables do not keep, or not as it was sent, and the contents may differ in."""


def add_actions(actions: Actions) -> None:
    """Declare `conflicts` and `conflict-decide`."""
    listing = add_action(actions, "conflicts", list_conflicts, "events whose id had come before with another content")
    add_period(listing)
    parser = add_action(actions, "conflict-decide", decide_conflicts, "let the first event of an id stay the one")
    add_period(parser)
    add_decision_flags(parser, "conflicts")
    add_actor(parser, "who decides")


def list_conflicts(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print every conflict of the period, what it differs in from the first event of its id, and what was decided."""
    with open_settled_views(environ) as views:
        events = sorted(views.conflicts(period_of(arguments)), key=lambda each: (each.partition, each.offset))
    more = {
        "first": [each.first_place for each in events],
        "differs_in": [", ".join(each.differing) or NOT_KEPT for each in events],
    }
    show_pool(arguments, environ, POOL, events, more)
    return ExitCode.OK


def decide_conflicts(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Store for each conflict that the first event stays; one that is not among the period's refuses all."""
    period, _ = period_of(arguments), actor_of(arguments)
    with open_settled_views(environ) as views:
        known = {place_of(each) for each in views.conflicts(period)}
    decide(arguments, environ, POOL, known, FIRST_KEPT)
    return ExitCode.OK
