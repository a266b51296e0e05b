"""The common part of commands about events that wait for a decision: list them, and decide some or all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_states import PostgresStates
from billing.books.states import OPEN, Move, Transition
from billing.period_billing import place_of
from billing.ports import SettledViews
from ingestion.contract.periods import Period
from ingestion.contract.settled import ReviewedEvent
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import APPROVER_ROLE, billing_connector, show

SHOWN_MAX = 200


@dataclass(frozen=True)
class Pool:
    """One kind of waiting events."""

    kind: str
    """The kind of their steps in the books."""
    noun: str
    command: str
    """The command that lists them."""
    done: Mapping[str, str] = field(default_factory=dict)
    """Decision → its effect on the events in words, if the decision's name does not describe it."""


def reading(pool: Pool, views: SettledViews, period: Period) -> str:
    """Return the progress line before the events are read."""
    return f"version {views.version.version}: reading the {pool.noun}s of {period}"


def show_pool(
    environ: Mapping[str, str],
    pool: Pool,
    events: Sequence[ReviewedEvent],
    more: Mapping[str, Sequence[str]],
    *,
    as_json: bool,
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
        "state": [decided[place].to_state if place in decided else OPEN for place in places],
    }
    rows = list(zip(*columns.values(), strict=True))
    rest = [f"and {len(rows) - SHOWN_MAX} more; --json shows all"] if len(rows) > SHOWN_MAX else []
    header = [name.removesuffix("_at").removesuffix("_id") for name in columns]
    document = {f"{pool.kind}s": [dict(zip(columns, row, strict=True)) for row in rows]}
    table = "\n".join([aligned(header, rows[:SHOWN_MAX], left=len(columns)), *rest]) if rows else f"no {pool.noun}"
    show(document, lambda: table, as_json=as_json)


@dataclass(frozen=True)
class Decision:
    """A person's decision about events of a period."""

    period: Period
    events: Sequence[str]
    """Their places; if empty, all undecided ones."""
    decision: str
    actor: str
    reason: str


def decide(environ: Mapping[str, str], pool: Pool, known: Collection[str], asked: Decision, *, as_json: bool) -> int:
    """Store a decision for each requested, undecided place; print the new decisions and the earlier ones.

    Return how many were decided now. The same decision again, by the same person for the same reason, changes nothing.

    Raises:
        CommandError: a place is not among the `known`, or was decided differently, or there is nothing left to decide.
    """
    period, decision = asked.period, asked.decision
    wanted = sorted(set(asked.events or known))
    if unknown := [place for place in wanted if place not in known]:
        raise CommandError(
            f"{unknown[0]!r} is not a {pool.noun} of period {period}; `{pool.command} --period {period}` lists them",
            ExitCode.BAD_INPUT,
        )
    if not wanted:
        raise CommandError(f"there is no {pool.noun} in period {period}; nothing was decided", ExitCode.REFUSED)
    before = PostgresBooks(billing_connector(environ)).decisions(pool.kind, wanted)
    others = {
        place: step
        for place, step in before.items()
        if (step.to_state, step.actor, step.reason) != (decision, asked.actor, asked.reason)
    }
    left = [place for place in wanted if place not in before]
    if others and (asked.events or not left):
        raise CommandError(
            "nothing was decided now: " + "\n  ".join(decided_sentences(pool, others)),
            ExitCode.REFUSED,
        )
    states = PostgresStates(billing_connector(environ, APPROVER_ROLE))
    for place in left:
        states.move(pool.kind, place, Move(decision, asked.actor, asked.reason))
    document = {
        "decided_count": len(left),
        "decision": decision,
        "decided_before": [
            {"place": place, "decision": step.to_state, "actor": step.actor, "reason": step.reason}
            for place, step in sorted(before.items())
        ],
    }
    head = f"{len(left)} {pool.noun}{'' if len(left) == 1 else 's'} {pool.done.get(decision, decision)}"
    show(document, lambda: "\n".join([head, *decided_sentences(pool, before)]), as_json=as_json)
    return len(left)


def decided_sentences(pool: Pool, steps: Mapping[str, Transition]) -> list[str]:
    """Return the earlier decisions with actors and reasons, a sentence for each of the first."""
    sentences = [
        f"{pool.noun} {place} was {step.to_state} before by {step.actor}: {step.reason}"
        for place, step in sorted(steps.items())[:SHOWN_MAX]
    ]
    more = [f"and {len(steps) - SHOWN_MAX} more"] if len(steps) > SHOWN_MAX else []
    return sentences + more
