"""`./viewledger billing late | late-decide`: events that came too late, visible until somebody decides about them."""

import argparse
from collections.abc import Mapping

from billing.books.postgres_states import PostgresStates
from billing.books.states import OPEN, Move
from billing.period_billing import late_event_id
from billing.tables import aligned
from ingestion.contract.counting import ACCEPTABLE_FROM
from jobs.billing_settings import (
    APPROVER_ROLE,
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_period,
    billing_connector,
    period_of,
    show,
)
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settled_views import open_settled_views

SHOWN_MAX = 200


def add_actions(actions: Actions) -> None:
    """Declares `late` and `late-decide`."""
    listing = add_action(actions, "late", list_late, "events of a period that came too late to be counted")
    add_period(listing)
    decide = add_action(actions, "late-decide", decide_late, "decide about events that came too late")
    add_period(decide)
    decide.add_argument("--event", action="append", metavar="PLACE", help="as `late` shows it; default: all undecided")
    decide.add_argument("--as", dest="decision", required=True, choices=("accepted", "rejected"))
    decide.add_argument("--reason", required=True, metavar="TEXT")
    add_actor(decide, "who decides")


def list_late(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Prints every late event of the period and what was decided."""
    states = PostgresStates(billing_connector(environ))
    with open_settled_views(environ) as views:
        events = sorted(views.late_events(period_of(arguments)), key=lambda each: (each.partition, each.offset))
    decided = {late_event_id(each): _state(states, late_event_id(each)) for each in events}
    rows = [
        (
            late_event_id(each),
            each.event_id,
            each.video_id,
            f"{each.happened_at:%Y-%m-%d %H:%M}",
            f"{each.appended_at:%Y-%m-%d %H:%M}",
            decided[late_event_id(each)],
        )
        for each in events
    ]
    names = ("place", "event_id", "video_id", "happened_at", "received_at", "state")
    document = {"late_events": [dict(zip(names, row, strict=True)) for row in rows]}
    header = ("place", "event", "video", "happened", "received", "state")
    more = [f"and {len(rows) - SHOWN_MAX} more; --json shows all"] if len(rows) > SHOWN_MAX else []
    text = "\n".join([aligned(header, rows[:SHOWN_MAX], left=6), *more]) if rows else "no event came too late"
    show(arguments, document, lambda: text)
    return ExitCode.OK


def decide_late(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Stores a decision for each event; one that is not in the period's pool refuses all."""
    period, actor = period_of(arguments), actor_of(arguments)
    states = PostgresStates(billing_connector(environ, APPROVER_ROLE))
    with open_settled_views(environ) as views:
        events = list(views.late_events(period))
    known = sorted(map(late_event_id, events))
    uncountable = {late_event_id(each) for each in events if each.happened_at < ACCEPTABLE_FROM}
    wanted = sorted(set(arguments.event or [place for place in known if _state(states, place) == OPEN]))
    if unknown := [place for place in wanted if place not in known]:
        raise CommandError(
            f"{unknown[0]!r} is no late event of period {period}; `billing late --period {period}` lists them",
            ExitCode.BAD_INPUT,
        )
    if arguments.decision == "accepted" and (early := [place for place in wanted if place in uncountable]):
        raise CommandError(
            f"late event {early[0]} claims a time before {ACCEPTABLE_FROM:%Y-%m-%d}, when no counting policy was in "
            "force; it can only be rejected",
            ExitCode.BAD_INPUT,
        )
    for place in wanted:
        states.move("late_event", place, Move(arguments.decision, actor, arguments.reason))
    text = f"{len(wanted)} late events {arguments.decision}"
    if arguments.decision == "accepted":
        text += "; the next batch run counts them; a period that is billed already is then billed anew by `restate`"
    show(arguments, {"decided_count": len(wanted), "decision": arguments.decision}, lambda: text)
    return ExitCode.OK


def _state(states: PostgresStates, place: str) -> str:
    steps = states.transitions("late_event", place)
    return steps[-1].to_state if steps else OPEN
