"""`./viewledger billing late …`: events that came too late, listed until a person decides on them."""

from collections.abc import Mapping, Sequence

from billing.period_billing import place_of
from ingestion.contract.counting import ACCEPTABLE_FROM
from ingestion.contract.periods import Period
from jobs.commands.billing.reviews import Decision, Pool, decide, reading, show_pool
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import progress
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_settled_views

POOL = Pool(
    "late_event",
    "late event",
    "billing late list",
    {"accepted": "accepted; the next batch run counts them, and `restate` recalculates a billed period"},
)


@billing_work
def list_late(environ: Mapping[str, str], *, period: Period, as_json: bool) -> ExitCode:
    """Print every late event of the period and its decision."""
    report = progress(as_json=as_json)
    report("opening the batch tables")
    with open_settled_views(environ) as views:
        report(reading(POOL, views, period))
        found = sorted(views.late_events(period), key=lambda each: (each.partition, each.offset))
    show_pool(environ, POOL, found, {}, as_json=as_json)
    return ExitCode.OK


@billing_work
def decide_late(
    environ: Mapping[str, str],
    *,
    period: Period,
    events: Sequence[str],
    decision: str,
    actor: str,
    reason: str,
    as_json: bool,
) -> ExitCode:
    """Store a decision for each event; a place that is not in the period's pool refuses all."""
    report = progress(as_json=as_json)
    report("opening the batch tables")
    with open_settled_views(environ) as views:
        report(reading(POOL, views, period))
        happened_at = {place_of(each): each.happened_at for each in views.late_events(period)}
    wanted = events or list(happened_at)
    too_early = [place for place in wanted if place in happened_at and happened_at[place] < ACCEPTABLE_FROM]
    if decision == "accepted" and too_early:
        raise CommandError(
            f"late event {too_early[0]} claims a time before {ACCEPTABLE_FROM:%Y-%m-%d}, when no counting policy was "
            "in force; it can only be rejected",
            ExitCode.BAD_INPUT,
        )
    decide(environ, POOL, happened_at, Decision(period, events, decision, actor, reason), as_json=as_json)
    return ExitCode.OK
