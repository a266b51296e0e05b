"""What the commands about events that wait for a decision have in common: listing them, and deciding some or all."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_states import PostgresStates
from billing.books.states import OPEN, Move
from billing.period_billing import place_of
from billing.ports import ReviewedEvent
from billing.tables import aligned
from jobs.billing_settings import (
    APPROVER_ROLE,
    actor_of,
    add_reason,
    billing_connector,
    period_of,
    reason_of,
    show,
)
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

SHOWN_MAX = 200


@dataclass(frozen=True)
class Pool:
    """One kind of events that wait."""

    kind: str
    """How their steps are called in the books."""
    noun: str
    command: str
    """What lists them."""


def add_decision_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare what every decision needs beside the period and the actor."""
    text = f"as `{command}` shows it; default: all undecided"
    parser.add_argument("--event", action="append", metavar="PLACE", help=text)
    add_reason(parser)


def show_pool(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    pool: Pool,
    events: Sequence[ReviewedEvent],
    more: Mapping[str, Sequence[str]],
) -> None:
    """Print the events by their place, with their states; `more` has further columns, a text for each event."""
    places = [place_of(each) for each in events]
    decided = PostgresBooks(billing_connector(environ)).decisions(pool.kind, places)
    columns = {
        "place": places,
        "event_id": [each.event_id for each in events],
        "video_id": [each.video_id for each in events],
        "happened_at": [f"{each.happened_at:%Y-%m-%d %H:%M}" for each in events],
        "received_at": [f"{each.appended_at:%Y-%m-%d %H:%M}" for each in events],
        **more,
        "state": [decided.get(place, OPEN) for place in places],
    }
    rows = list(zip(*columns.values(), strict=True))
    rest = [f"and {len(rows) - SHOWN_MAX} more; --json shows all"] if len(rows) > SHOWN_MAX else []
    header = [name.removesuffix("_at").removesuffix("_id") for name in columns]
    document = {f"{pool.kind}s": [dict(zip(columns, row, strict=True)) for row in rows]}
    table = "\n".join([aligned(header, rows[:SHOWN_MAX], left=len(columns)), *rest]) if rows else f"no {pool.noun}"
    show(arguments, document, lambda: table)


def wanted_places(
    arguments: argparse.Namespace, environ: Mapping[str, str], pool: Pool, known: Collection[str]
) -> list[str]:
    """Return the places that --event names, or else all that are undecided.

    Raises:
        CommandError: one of them is not among the `known`.
    """
    if not arguments.event:
        decided = PostgresBooks(billing_connector(environ)).decisions(pool.kind, sorted(known))
        return sorted(place for place in known if place not in decided)
    period, wanted = period_of(arguments), sorted(set(arguments.event))
    if unknown := [place for place in wanted if place not in known]:
        raise CommandError(
            f"{unknown[0]!r} is no {pool.noun} of period {period}; `{pool.command} --period {period}` lists them",
            ExitCode.BAD_INPUT,
        )
    return wanted


def decide(
    arguments: argparse.Namespace, environ: Mapping[str, str], pool: Pool, places: Collection[str], decision: str
) -> None:
    """Store a decision for each place."""
    states = PostgresStates(billing_connector(environ, APPROVER_ROLE))
    for place in places:
        states.move(pool.kind, place, Move(decision, actor_of(arguments), reason_of(arguments)))
