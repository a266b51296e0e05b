"""`./viewledger billing conflicts …`: one id with two contents; confirm that the first one counts."""

from collections.abc import Mapping, Sequence

from billing.books.states import FIRST_KEPT
from billing.period_billing import place_of
from ingestion.contract.periods import Period
from jobs.commands.billing.reviews import Decision, Pool, decide, reading, show_pool
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import progress
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_settled_views

POOL = Pool(
    "conflict",
    "conflict",
    "billing conflicts list",
    {FIRST_KEPT: "decided: the first event of each id stays, as it is counted"},
)
NOT_KEPT = "referrer, quality, ads or schema_version"
"""Fields that the batch tables do not keep, or not as sent, and in which the contents may differ."""


@billing_work
def list_conflicts(environ: Mapping[str, str], *, period: Period, as_json: bool) -> ExitCode:
    """Print every conflict of the period, its difference from the first event of its id, and its decision."""
    report = progress(as_json=as_json)
    report("opening the batch tables")
    with open_settled_views(environ) as views:
        report(reading(POOL, views, period))
        found = sorted(views.conflicts(period), key=lambda each: (each.partition, each.offset))
    more = {
        "first": [each.first_place for each in found],
        "differs_in": [", ".join(each.differing) or NOT_KEPT for each in found],
    }
    show_pool(environ, POOL, found, more, as_json=as_json)
    return ExitCode.OK


@billing_work
def decide_conflicts(
    environ: Mapping[str, str], *, period: Period, events: Sequence[str], actor: str, reason: str, as_json: bool
) -> ExitCode:
    """Store for each conflict that the first event stays; a place that is not a conflict of the period refuses all."""
    report = progress(as_json=as_json)
    report("opening the batch tables")
    with open_settled_views(environ) as views:
        report(reading(POOL, views, period))
        known = {place_of(each) for each in views.conflicts(period)}
    decide(environ, POOL, known, Decision(period, events, FIRST_KEPT, actor, reason), as_json=as_json)
    return ExitCode.OK
