"""The figures of the last billing run or refusal, for Prometheus, in `metrics/billing.prom`."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from billing.errors import Failure, PreconditionsError
from billing.nightly import Night
from billing.notices.notice import PayeeNotice
from billing.payouts.postgres_listed_batches import ListedBatch
from billing.period_billing import BilledPeriod
from jobs.settings.declared.pipeline import STATE_DIR
from jobs.telemetry.figures_file import METRICS_FOLDER, Figure, write_figures

FILE = "billing.prom"
HELD_FILE = "billing-held.prom"
NIGHT_FILE = "billing-night.prom"
NOTICES_FILE = "billing-notices.prom"


@contextmanager
def recorded_billing(
    environ: Mapping[str, str], *, clock: Callable[[], float] = time.time
) -> Iterator[list[BilledPeriod]]:
    """Write the run that the caller appends, or the preconditions that refuse it; nothing for another error.

    A run that stores nothing writes nothing, and without VIEWLEDGER_STATE_DIR nothing is written at all.
    """
    billed: list[BilledPeriod] = []
    figures: list[Figure] = []
    try:
        yield billed
        figures = [figure for each in billed if not each.dry_run for figure in run_figures(each)]
    except PreconditionsError as error:
        figures = refusal_figures(error.failures)
        raise
    finally:
        _record(environ, figures, clock())


def record_night(environ: Mapping[str, str], night: Night, *, clock: Callable[[], float] = time.time) -> None:
    """Write the months that a night billed or that were refused; nothing if it only estimated."""
    figures = [figure for month in night.months if month.billed for figure in run_figures(month.billed)]
    figures += refusal_figures([failure for month in night.months for failure in month.failures])
    _record(environ, figures, clock())


def _record(environ: Mapping[str, str], figures: Sequence[Figure], ended_at: float) -> None:
    if figures and (state := STATE_DIR.read_if_set(environ)):
        ended = Figure("viewledger_billing_last_run_timestamp_seconds", "When billing ended last", ended_at)
        write_figures(Path(state) / METRICS_FOLDER / FILE, [ended, *figures])


def record_waiting(
    environ: Mapping[str, str], *, overdue: int, bank_differences: int, clock: Callable[[], float] = time.time
) -> None:
    """Write how many statements are held for too long, and payments that the bank booked otherwise.

    Nothing without VIEWLEDGER_STATE_DIR.
    """
    if state := STATE_DIR.read_if_set(environ):
        text = "Statements that are held for longer than VIEWLEDGER_HELD_DAYS_MAX"
        counted = Figure("viewledger_billing_held_overdue_statements", text, overdue)
        text = "Payments for which the bank booked another movement"
        booked = Figure("viewledger_billing_bank_differences", text, bank_differences)
        at = Figure("viewledger_billing_held_counted_timestamp_seconds", "When a night counted them last", clock())
        write_figures(Path(state) / METRICS_FOLDER / HELD_FILE, [counted, booked, at])


def record_estimates_and_payouts(environ: Mapping[str, str], night: Night, batches: Sequence[ListedBatch]) -> None:
    """Write what open months would earn, and the payouts of all time; nothing without VIEWLEDGER_STATE_DIR."""
    if state := STATE_DIR.read_if_set(environ):
        figures = [*estimate_figures(night), *payout_figures(batches)]
        write_figures(Path(state) / METRICS_FOLDER / NIGHT_FILE, figures)


def record_notices(environ: Mapping[str, str], waiting: Sequence[PayeeNotice]) -> None:
    """Write how many notices to payees wait, and since when; nothing without VIEWLEDGER_STATE_DIR."""
    if state := STATE_DIR.read_if_set(environ):
        figures = [
            Figure("viewledger_billing_notices_waiting", "Notices to payees that are not delivered", len(waiting))
        ]
        if waiting:
            text = "When the oldest notice that is not delivered had something to tell"
            oldest = min(each.moved_at for each in waiting).timestamp()
            figures.append(Figure("viewledger_billing_notices_oldest_timestamp_seconds", text, oldest))
        write_figures(Path(state) / METRICS_FOLDER / NOTICES_FILE, figures)


def estimate_figures(night: Night) -> list[Figure]:
    """Return the billable views of the months that a night estimated, and what they would earn, by currency."""
    views, micros = Counter[str](), Counter[str]()
    for each in (estimate for month in night.months for estimate in month.estimates):
        views[each.currency] += each.billable_views
        micros[each.currency] += each.earned_micros
    of_views, of_micros = "Billable views of open months", "What open months would earn by the views settled so far"
    return [
        Figure(name, text, count, {"currency": currency})
        for name, text, counts in (
            ("viewledger_billing_estimated_views", of_views, views),
            ("viewledger_billing_estimated_micros", of_micros, micros),
        )
        for currency, count in sorted(counts.items())
    ]


def payout_figures(batches: Sequence[ListedBatch]) -> list[Figure]:
    """Return the number of payments and their amounts, by currency and state."""
    counts, micros = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in batches:
        counts[each.currency, each.payment_state] += each.payment_count
        micros[each.currency, each.payment_state] += each.amount_micros
    return [
        Figure(name, text, count, {"currency": currency, "state": state})
        for name, text, found in (
            ("viewledger_payouts", "Payments of all batches by state", counts),
            ("viewledger_payout_micros", "The amounts of the payments of all batches by state", micros),
        )
        for (currency, state), count in sorted(found.items())
    ]


def run_figures(billed: BilledPeriod) -> list[Figure]:
    """Return the statements by state and the amounts of a run, in its currency."""
    summary, currency = billed.summary, {"currency": billed.run.currency}
    states = [
        Figure("viewledger_billing_statements", "Statements of the last run as it made them", count, {"state": state})
        for state, count in sorted(summary.state_counts.items())
    ]
    return [
        *states,
        Figure("viewledger_billing_posted_statements", "Statements that the last run posted", summary.posted_count),
        Figure("viewledger_billing_billable_views", "Billable views of the last run", summary.billable_views),
        Figure("viewledger_billing_earned_micros", "What all statements earned", summary.earned_micros, currency),
        Figure("viewledger_billing_changed_statements", "Posted statements that differ now", summary.changed_count),
        Figure(
            "viewledger_billing_unknown_views",
            "Billable views of ids that are not in the catalogue",
            billed.run.unknown_views,
        ),
        Figure("viewledger_billing_unrated_views", "Billable views without a rate", billed.run.unrated_views),
        Figure(
            "viewledger_billing_out_of_bounds", "Whether the run as a whole is out of bounds", len(summary.warnings)
        ),
    ]


def refusal_figures(failures: Sequence[Failure]) -> list[Figure]:
    """Return the number of reasons by precondition."""
    kinds = Counter(failure.kind for failure in failures)
    text = "Reasons for which billing was refused last, by precondition"
    return [
        Figure("viewledger_billing_refusals", text, count, {"precondition": kind.value})
        for kind, count in sorted(kinds.items())
    ]
