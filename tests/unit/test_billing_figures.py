from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from billing.books.book_ports import Estimate
from billing.books.run_posting import RunSummary
from billing.errors import Failure, Precondition, PreconditionsError
from billing.nightly import Night, NightOf
from billing.payouts.postgres_listed_batches import ListedBatch
from billing.period_billing import BilledPeriod
from billing.rating.remarks import Remarks
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.commands.billing.figures import (
    record_estimates_and_payouts,
    record_night,
    record_waiting,
    recorded_billing,
)
from tests.billing_fakes import NOVEMBER, OCTOBER, run_of


def billed_period(*, dry_run: bool = False) -> BilledPeriod:
    summary = RunSummary(
        posted_count=5, earned_micros=12_000_000, changed_count=1, state_counts=Counter(calculated=5, held=2)
    )
    return BilledPeriod(run_of(), summary, Remarks(), {}, dry_run)


def text_after(state: Path, billed: BilledPeriod) -> str:
    with recorded_billing({"VIEWLEDGER_STATE_DIR": str(state)}, clock=lambda: 7.0) as recorded:
        recorded.append(billed)
    return (state / "metrics" / "billing.prom").read_text()


def test_a_run_leaves_its_statements_by_state_and_its_amount_by_currency(tmp_path: Path) -> None:
    text = text_after(tmp_path, billed_period())
    for line in (
        "viewledger_billing_last_run_timestamp_seconds 7.0",
        'viewledger_billing_statements{state="calculated"} 5.0',
        'viewledger_billing_statements{state="held"} 2.0',
        "viewledger_billing_posted_statements 5.0",
        "viewledger_billing_changed_statements 1.0",
        'viewledger_billing_earned_micros{currency="USD"} 1.2e+07',
    ):
        assert f"\n{line}\n" in f"\n{text}"


def test_a_refusal_leaves_how_many_reasons_each_precondition_gave_and_the_next_run_takes_them_away(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics" / "billing.prom"
    failures = [
        Failure(Precondition.SETTLED, "partition 3 is behind"),
        Failure(Precondition.RECONCILED, "reconciled, said somebody: a file is gone"),
        Failure(Precondition.SETTLED, "partition 4 is behind"),
    ]
    with pytest.raises(PreconditionsError), recorded_billing({"VIEWLEDGER_STATE_DIR": str(tmp_path)}):
        raise PreconditionsError(failures)
    assert 'viewledger_billing_refusals{precondition="settled"} 2.0' in path.read_text()
    assert 'viewledger_billing_refusals{precondition="reconciled"} 1.0' in path.read_text()
    assert "refusals" not in text_after(tmp_path, billed_period())


def test_what_stored_nothing_or_did_not_end_leaves_nothing(tmp_path: Path) -> None:
    environ = {"VIEWLEDGER_STATE_DIR": str(tmp_path)}
    with recorded_billing(environ) as recorded:
        recorded.append(billed_period(dry_run=True))
    with pytest.raises(UnavailableError), recorded_billing(environ):
        raise UnavailableError(Part.POSTGRES, "away")
    with recorded_billing({}) as recorded:
        recorded.append(billed_period())
    assert not list(tmp_path.iterdir())


def test_a_night_leaves_how_many_statements_are_held_for_too_long(tmp_path: Path) -> None:
    record_waiting({}, overdue=3, bank_differences=2)
    assert not list(tmp_path.iterdir())
    environ = {"VIEWLEDGER_STATE_DIR": str(tmp_path)}
    record_waiting(environ, overdue=3, bank_differences=2, clock=lambda: 7.0)
    text = (tmp_path / "metrics" / "billing-held.prom").read_text()
    assert "\nviewledger_billing_held_overdue_statements 3.0\n" in text
    assert "\nviewledger_billing_bank_differences 2.0\n" in text
    assert "\nviewledger_billing_held_counted_timestamp_seconds 7.0\n" in text


def test_a_night_leaves_what_it_billed_and_what_refused_a_month_and_nothing_when_it_only_estimated(
    tmp_path: Path,
) -> None:
    environ, path = {"VIEWLEDGER_STATE_DIR": str(tmp_path)}, tmp_path / "metrics" / "billing.prom"
    record_night(environ, Night((NightOf(NOVEMBER, "estimated", "the month goes on"),), 0))
    assert not path.exists()
    refused = NightOf(NOVEMBER, "refused", "…", failures=(Failure(Precondition.IMPORT, "no catalogue"),) * 2)
    record_night(environ, Night((NightOf(OCTOBER, "billed", "…", billed_period()), refused), 0), clock=lambda: 7.0)
    text = path.read_text()
    assert "\nviewledger_billing_last_run_timestamp_seconds 7.0\n" in text
    assert "\nviewledger_billing_posted_statements 5.0\n" in text
    assert 'viewledger_billing_refusals{precondition="import"} 2.0' in text


def test_a_night_leaves_what_open_months_would_earn_and_the_payments_by_state(tmp_path: Path) -> None:
    estimates = (Estimate("ann", "EUR", 5_000_000, 1_000), Estimate("bob", "EUR", 1, 2), Estimate("eve", "USD", 7, 3))
    night = Night((NightOf(NOVEMBER, "estimated", "the month goes on", estimates=estimates),), 0)
    batches = [
        ListedBatch(batch_id, "EUR", date(2026, 11, 9), "ann", "written", state, count, micros)
        for batch_id, state, count, micros in (
            ("b1", "settled", 3, 30),
            ("b2", "settled", 1, 5),
            ("b2", "returned", 1, 4),
        )
    ]
    record_estimates_and_payouts({}, night, batches)
    assert not list(tmp_path.iterdir())
    record_estimates_and_payouts({"VIEWLEDGER_STATE_DIR": str(tmp_path)}, night, batches)
    text = (tmp_path / "metrics" / "billing-night.prom").read_text()
    for line in (
        'viewledger_billing_estimated_views{currency="EUR"} 1002.0',
        'viewledger_billing_estimated_micros{currency="EUR"} 5.000001e+06',
        'viewledger_billing_estimated_micros{currency="USD"} 7.0',
        'viewledger_payouts{currency="EUR",state="settled"} 4.0',
        'viewledger_payout_micros{currency="EUR",state="settled"} 35.0',
        'viewledger_payout_micros{currency="EUR",state="returned"} 4.0',
    ):
        assert f"\n{line}\n" in text


def test_a_night_without_open_months_or_payouts_takes_the_former_figures_away(tmp_path: Path) -> None:
    environ, path = {"VIEWLEDGER_STATE_DIR": str(tmp_path)}, tmp_path / "metrics" / "billing-night.prom"
    estimated = NightOf(NOVEMBER, "estimated", "the month goes on", estimates=(Estimate("ann", "EUR", 1, 1),))
    record_estimates_and_payouts(environ, Night((estimated,), 0), [])
    assert "viewledger_billing_estimated_micros" in path.read_text()
    record_estimates_and_payouts(environ, Night((), 0), [])
    assert path.read_text() == ""
