"""What must happen before a period is billed, and what has happened since: the checklist of who closes it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from billing.books.months import DUE, ClosingFigures, StateSum, WaitingCount
from billing.payouts.account_entries import SUSPENSE_OF_BANK
from billing.terms.suspense import SUSPENSE
from billing.waiting import CONFLICT, LATE_EVENT, TRAFFIC_GROUP

DAYS_SHOWN = 5
WAITS_FOR = {
    "traffic_groups": ("group of traffic is under review", "groups of traffic are under review"),
    "conflicts": ("event came with the id of another one", "events came with the id of another one"),
    "late_events": ("event came too late to be counted", "events came too late to be counted"),
    "in_review": ("statement waits for a second person", "statements wait for a second person"),
    "held": (
        "held statement waits for a review: `billing statements review`",
        "held statements wait for a review: `billing statements review`",
    ),
    "post": (
        "statement is not in the ledger yet; the next night posts it",
        "statements are not in the ledger yet; the next night posts them",
    ),
    "pay": (
        "statement is in the ledger and in no settled payout",
        "statements are in the ledger and in no settled payout",
    ),
    "reconcile": (
        "payment is instructed, and the bank has not answered",
        "payments are instructed, and the bank has not answered",
    ),
}
"""What waits, of one and of several."""


class CheckState(StrEnum):
    """What a check comes to."""

    READY = "ready"
    BLOCKS = "blocks"
    """The period cannot be billed."""
    WAITS = "waits"
    """A person should decide; it stops nothing."""
    UNKNOWN = "unknown"
    LATER = "later"
    """Its turn has not come."""


@dataclass(frozen=True)
class Check:
    """One line of the checklist."""

    name: str
    state: CheckState
    sentence: str
    count: int | None = None
    amounts: tuple[tuple[int, str], ...] = ()
    """Micros and currency of what is at stake, where that is known."""


def checks_of(
    figures: ClosingFigures, waiting: Mapping[str, WaitingCount], *, now: datetime, allowed_lateness: timedelta
) -> tuple[Check, ...]:
    """Return what keeps a period from being billed, and what a person should decide before."""
    return (
        _settled(figures, now, allowed_lateness),
        _judged(figures),
        _pool("traffic_groups", figures, waiting.get(TRAFFIC_GROUP)),
        _pool("conflicts", figures, waiting.get(CONFLICT)),
        _pool("late_events", figures, waiting.get(LATE_EVENT)),
        _reconciled(figures),
        _terms(figures),
        _proposals(figures),
        _overlaps(figures),
        _suspense(figures),
        _at_the_bank(figures),
        _holds(figures),
        _appeals(figures),
    )


def steps_of(figures: ClosingFigures, *, now: datetime) -> tuple[Check, ...]:
    """Return the steps from billing a period to its payment, each with its state now."""
    found = figures.statements
    if not found:
        has_ended = now >= figures.period.end_at
        state, sentence = (
            (CheckState.WAITS, "No statement yet: `billing nightly` or `billing run` bills it.")
            if has_ended
            else (CheckState.LATER, "The period is billed after it has ended.")
        )
        later = [Check(name, CheckState.LATER, "After the step before.") for name in ("approve", "post", "pay")]
        return (Check("run", state, sentence), *later, _answered(figures))
    in_force = [each for each in found if each.state not in ("voided", "superseded")]
    total = Check("run", CheckState.READY, "The period is billed.", _count(in_force), _amounts(in_force))
    unposted, unpaid = _of(found, "approved", "calculated"), _of(found, DUE)
    return (
        total,
        _approved(found),
        _step("post", unposted, "Every statement is posted."),
        _step("pay", unpaid, "What is due is paid."),
        _answered(figures),
    )


def forecast(figures: ClosingFigures) -> tuple[tuple[int, str], ...]:
    """Return what the period would earn by the last night's estimate, by currency; empty once it is billed."""
    return () if figures.statements else _amounts(figures.estimates)


def _settled(figures: ClosingFigures, now: datetime, allowed_lateness: timedelta) -> Check:
    needed = figures.period.end_at + allowed_lateness
    if figures.settled_until is None:
        return Check("settled", CheckState.BLOCKS, "No version is published yet: `batch run` makes the first one.")
    until = f"Version {figures.batch_version} is settled until {_minute(figures.settled_until)}"
    if figures.settled_until >= needed:
        return Check("settled", CheckState.READY, f"{until}, and covers the period.")
    hours = allowed_lateness / timedelta(hours=1)
    after = f"{hours:g} {'hour' if hours == 1 else 'hours'} after the end of the period"
    state = CheckState.BLOCKS if now >= needed else CheckState.LATER
    return Check("settled", state, f"{until}; {_minute(needed)} is needed, {after}.")


def _judged(figures: ClosingFigures) -> Check:
    days = figures.unjudged_days
    if figures.batch_version is None:
        return Check("judged", CheckState.UNKNOWN, "No version is published yet.")
    if not days:
        return Check("judged", CheckState.READY, "The traffic of every day with events that a policy rules is judged.")
    more = f" and {len(days) - DAYS_SHOWN} more" if len(days) > DAYS_SHOWN else ""
    listed = ", ".join(day.isoformat() for day in days[:DAYS_SHOWN])
    sentence = f"Not judged yet: {listed}{more}. `batch run --judge-period {figures.period}` judges them."
    return Check("judged", CheckState.BLOCKS, sentence, len(days))


def _pool(name: str, figures: ClosingFigures, waiting: WaitingCount | None) -> Check:
    if waiting is None:
        return Check(name, CheckState.UNKNOWN, "Not counted yet: `billing nightly` counts them.")
    count, events = waiting.of(figures.period)
    as_of = f"as of version {waiting.batch_version}, counted {_minute(waiting.counted_at)}"
    if waiting.unlisted_count:
        sentence = f"At least {count:,} here, and {waiting.unlisted_count:,} of any day beyond the list; {as_of}."
        return Check(name, CheckState.WAITS if count else CheckState.UNKNOWN, sentence, count)
    if not count:
        return Check(name, CheckState.READY, f"None; {as_of}.", 0)
    with_events = f" with {_counted(events, 'event', 'events')}" if name == "traffic_groups" else ""
    return Check(name, CheckState.WAITS, f"{_counted(count, *WAITS_FOR[name])}{with_events}; {as_of}.", count)


def _reconciled(figures: ClosingFigures) -> Check:
    if figures.difference:
        return Check("reconciled", CheckState.BLOCKS, f"{figures.difference}. `reconcile` says more.")
    if figures.reconciled_at is None:
        return Check("reconciled", CheckState.BLOCKS, "Nothing was compared yet: `reconcile` compares.")
    if figures.unreconciled_from is not None:
        sentence = f"Not compared yet: versions from {figures.unreconciled_from} on. `reconcile` compares them."
        return Check("reconciled", CheckState.BLOCKS, sentence)
    return Check("reconciled", CheckState.READY, f"Everything agreed on {_minute(figures.reconciled_at)}.")


def _terms(figures: ClosingFigures) -> Check:
    versions = {"catalogue": figures.catalogue_version, "contracts": figures.contract_version}
    if missing := [name for name, version in versions.items() if version is None]:
        sentence = f"Not imported yet: {' and '.join(missing)}. `billing catalogue import` imports both."
        return Check("terms", CheckState.BLOCKS, sentence)
    sentence = f"Catalogue version {figures.catalogue_version}, contract version {figures.contract_version}."
    return Check("terms", CheckState.READY, sentence)


def _proposals(figures: ClosingFigures) -> Check:
    if not figures.proposal_count:
        return Check("proposals", CheckState.READY, "No import waits for a second person.", 0)
    sentence = "Imports that wait for a second person are not in force."
    return Check("proposals", CheckState.WAITS, sentence, figures.proposal_count)


def _overlaps(figures: ClosingFigures) -> Check:
    if not figures.overlapping:
        return Check("overlaps", CheckState.READY, "No other billed period has days of it.", 0)
    listed = ", ".join(map(str, figures.overlapping))
    sentence = f"Days of it are billed in {listed}: bill the days that are left."
    return Check("overlaps", CheckState.BLOCKS, sentence, len(figures.overlapping))


def _suspense(figures: ClosingFigures) -> Check:
    sentence = "Views of all periods that belong to nobody yet; their owner is missing in the catalogue."
    return _in_account("suspense", figures, SUSPENSE, sentence, "Every view that was billed has an owner.")


def _at_the_bank(figures: ClosingFigures) -> Check:
    sentence = "The bank booked it, and nobody has explained it: positive came in, negative went out."
    return _in_account(
        "bank_suspense", figures, SUSPENSE_OF_BANK, sentence, "Everything that the bank booked is explained."
    )


def _in_account(name: str, figures: ClosingFigures, account: str, sentence: str, nothing: str) -> Check:
    found = _of(figures.suspense, account)
    if not found:
        return Check(name, CheckState.READY, nothing)
    return Check(name, CheckState.WAITS, sentence, amounts=_amounts(found))


def _holds(figures: ClosingFigures) -> Check:
    if not figures.holds:
        return Check("holds", CheckState.READY, "No amount is on hold.", 0)
    sentence = "Amounts on hold are in no payout until somebody decides or their time is over."
    return Check("holds", CheckState.WAITS, sentence, _count(figures.holds), _amounts(figures.holds))


def _appeals(figures: ClosingFigures) -> Check:
    if not figures.open_appeals:
        return Check("appeals", CheckState.READY, "No appeal is open.", 0)
    return Check("appeals", CheckState.WAITS, "Payees wait for an answer.", figures.open_appeals)


def _approved(found: Sequence[StateSum]) -> Check:
    """Return what waits for a second person, and what was held and waits for somebody who looks at it first."""
    left = _of(found, "in_review", "held")
    if not left:
        return Check("approve", CheckState.READY, "No statement waits for a person.", 0)
    sentences = [
        f"{_counted(count, *WAITS_FOR[state])}."
        for state in ("in_review", "held")
        if (count := _count(_of(found, state)))
    ]
    return Check("approve", CheckState.WAITS, " ".join(sentences), _count(left), _amounts(left))


def _step(name: str, left: Sequence[StateSum], done: str) -> Check:
    if not left:
        return Check(name, CheckState.READY, done, 0)
    count = _count(left)
    return Check(name, CheckState.WAITS, f"{_counted(count, *WAITS_FOR[name])}.", count, _amounts(left))


def _answered(figures: ClosingFigures) -> Check:
    """Return whether the bank has answered every payment, of any period: a payout pays a balance."""
    left = _of(figures.payments, "instructed")
    if not left:
        return Check("reconcile", CheckState.READY, "No payment waits for the bank.", 0)
    count = _count(left)
    sentence = f"{_counted(count, *WAITS_FOR['reconcile'])} (all periods)."
    return Check("reconcile", CheckState.WAITS, sentence, count, _amounts(left))


def _of(found: Sequence[StateSum], *states: str) -> list[StateSum]:
    return [each for each in found if each.state in states]


def _count(found: Sequence[StateSum]) -> int:
    return sum(each.count for each in found)


def _amounts(found: Sequence[StateSum]) -> tuple[tuple[int, str], ...]:
    """Return the sums by currency."""
    sums: dict[str, int] = {}
    for each in found:
        sums[each.currency] = sums.get(each.currency, 0) + each.amount_micros
    return tuple((micros, currency) for currency, micros in sorted(sums.items()))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
