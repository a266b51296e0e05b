"""The checklist of a period: what keeps it from being billed, what waits, and what is not known."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.books.book_ports import WaitingItem
from billing.books.months import DUE, IN_SUSPENSE, NOTHING_DUE, ClosingFigures, StateSum, WaitingCount
from billing.closing import Check, CheckState, checks_of, forecast, steps_of
from billing.rating.preconditions import unjudged_days
from billing.waiting import CONFLICT, LATE_EVENT, LISTED_MAX, TRAFFIC_GROUP, first_of, note_waiting_work
from ingestion.contract.periods import Period
from ingestion.contract.version import rules_of
from tests.billing_fakes import FakeSettledViews, published
from tests.books_fakes import FakeBooks, FakeWaitingWork

OCTOBER = Period.parse("2026-10")
NOW = datetime(2026, 11, 5, tzinfo=UTC)
DAY = timedelta(days=1)
CLEAN = ClosingFigures(
    period=OCTOBER,
    batch_version=7,
    settled_until=NOW,
    unjudged_days=(),
    difference="",
    reconciled_at=NOW,
    unreconciled_from=None,
    catalogue_version=2,
    contract_version=1,
    proposal_count=0,
    overlapping=(),
    statements=(),
    payments=(),
    suspense=(),
    holds=(),
    open_appeals=0,
    estimates=(),
    estimated_at=None,
    estimated_version=None,
)
NONE = WaitingCount({}, 0, 7, NOW)
COUNTED = {CONFLICT: NONE, LATE_EVENT: NONE, TRAFFIC_GROUP: NONE}


def checks(
    figures: ClosingFigures, waiting: dict[str, WaitingCount] | None = None, now: datetime = NOW
) -> dict[str, Check]:
    found = checks_of(figures, COUNTED if waiting is None else waiting, now=now, allowed_lateness=DAY)
    return {each.name: each for each in found}


def states(found: dict[str, Check]) -> set[str]:
    return {each.state for each in found.values()}


def test_a_period_in_which_all_is_done_has_only_ready_lines() -> None:
    assert states(checks(CLEAN)) == {CheckState.READY}


def test_a_version_that_ends_before_the_lateness_blocks_once_it_should_cover_it() -> None:
    early = replace(CLEAN, settled_until=OCTOBER.end_at + timedelta(hours=23))
    found = checks(early)["settled"]
    assert found.state is CheckState.BLOCKS
    assert "2026-11-01 23:00 UTC; 2026-11-02 00:00 UTC is needed, 24 hours after the end" in found.sentence
    assert checks(early, now=datetime(2026, 10, 20, tzinfo=UTC))["settled"].state is CheckState.LATER
    exact = replace(CLEAN, settled_until=OCTOBER.end_at + DAY)
    assert checks(exact)["settled"].state is CheckState.READY


BROKEN = {
    "settled": {"settled_until": None, "batch_version": None},
    "judged": {"unjudged_days": (date(2026, 10, 3), date(2026, 10, 4))},
    "reconciled": {"difference": "raw and batch differ"},
    "terms": {"contract_version": None},
    "overlaps": {"overlapping": (Period.parse("2026-10-20/2026-11-03"),)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_billing_would_refuse_blocks(name: str) -> None:
    assert checks(replace(CLEAN, **BROKEN[name]))[name].state is CheckState.BLOCKS


def test_what_was_never_reconciled_blocks() -> None:
    assert checks(replace(CLEAN, reconciled_at=None))["reconciled"].state is CheckState.BLOCKS
    found = checks(replace(CLEAN, unreconciled_from=8))["reconciled"]
    assert (found.state, "versions from 8 on" in found.sentence) == (CheckState.BLOCKS, True)


def test_what_a_person_should_decide_waits_with_its_amounts() -> None:
    figures = replace(
        CLEAN,
        proposal_count=2,
        open_appeals=1,
        holds=(StateSum("pending", "EUR", 2, 5), StateSum("pending", "USD", 1, 7)),
        suspense=(StateSum("suspense:bank", "EUR", 0, -3), StateSum("suspense:unattributed", "EUR", 0, 10)),
    )
    found = checks(figures)
    assert {name for name, each in found.items() if each.state is CheckState.WAITS} == {
        "proposals",
        "appeals",
        "holds",
        "suspense",
        "bank_suspense",
    }
    assert (found["holds"].count, found["holds"].amounts) == (3, ((5, "EUR"), (7, "USD")))
    assert found["suspense"].amounts == ((10, "EUR"),)
    assert found["bank_suspense"].amounts == ((-3, "EUR"),)


def test_events_of_the_period_wait_and_those_of_other_days_do_not() -> None:
    by_day = {date(2026, 10, 1): (2, 2), date(2026, 10, 31): (1, 1), date(2026, 11, 1): (9, 9)}
    found = checks(CLEAN, {**COUNTED, CONFLICT: WaitingCount(by_day, 0, 6, NOW)})["conflicts"]
    assert (found.state, found.count) == (CheckState.WAITS, 3)
    assert "as of version 6" in found.sentence


def test_what_was_not_counted_is_unknown_and_never_none() -> None:
    found = checks(CLEAN, {})
    assert [found[name].state for name in ("conflicts", "late_events", "traffic_groups")] == [CheckState.UNKNOWN] * 3
    beyond = checks(CLEAN, {**COUNTED, LATE_EVENT: WaitingCount({}, 4_000, 7, NOW)})["late_events"]
    assert beyond.state is CheckState.UNKNOWN
    assert "4,000 of any day beyond the list" in beyond.sentence


def test_a_period_that_is_not_billed_waits_for_its_run_once_it_has_ended() -> None:
    assert [each.state for each in steps_of(CLEAN, now=NOW)][:2] == [CheckState.WAITS, CheckState.LATER]
    assert steps_of(CLEAN, now=datetime(2026, 10, 20, tzinfo=UTC))[0].state is CheckState.LATER


def test_the_steps_follow_the_states_of_statements_and_payments() -> None:
    figures = replace(
        CLEAN,
        statements=(
            StateSum("approved", "USD", 1, 4),
            StateSum(DUE, "USD", 5, 100),
            StateSum("held", "USD", 2, 30),
            StateSum("in_review", "EUR", 1, 8),
            StateSum(NOTHING_DUE, "USD", 3, 0),
            StateSum("voided", "USD", 9, 900),
        ),
        payments=(StateSum("instructed", "EUR", 2, 60), StateSum("settled", "EUR", 1, 5)),
    )
    run, approve, post, pay, reconcile = steps_of(figures, now=NOW)
    assert (run.state, run.count, run.amounts) == (CheckState.READY, 12, ((8, "EUR"), (134, "USD")))
    assert (approve.count, approve.amounts) == (3, ((8, "EUR"), (30, "USD")))
    assert (post.count, pay.count, reconcile.count) == (1, 5, 2)
    assert {each.state for each in (approve, post, pay, reconcile)} == {CheckState.WAITS}
    paid = replace(CLEAN, statements=(StateSum("paid", "USD", 5, 100), StateSum(IN_SUSPENSE, "USD", 1, 1)))
    assert {each.state for each in steps_of(paid, now=NOW)} == {CheckState.READY}


def test_held_statements_wait_for_a_review_and_not_for_a_second_person() -> None:
    held = replace(CLEAN, statements=(StateSum("held", "USD", 1, 30), StateSum("held", "EUR", 1, 5)))
    approve = {each.name: each for each in steps_of(held, now=NOW)}["approve"]
    assert approve.sentence == "2 held statements wait for a review: `billing statements review`."
    both = replace(held, statements=(StateSum("held", "USD", 1, 30), StateSum("in_review", "USD", 1, 8)))
    approve = {each.name: each for each in steps_of(both, now=NOW)}["approve"]
    assert approve.sentence == (
        "1 statement waits for a second person. 1 held statement waits for a review: `billing statements review`."
    )


def test_one_is_not_called_several() -> None:
    one = (StateSum("in_review", "USD", 1, 8), StateSum("approved", "USD", 1, 8), StateSum(DUE, "USD", 1, 8))
    figures = replace(CLEAN, statements=one, payments=(StateSum("instructed", "USD", 1, 8),))
    assert [each.sentence for each in steps_of(figures, now=NOW)][1:] == [
        "1 statement waits for a second person.",
        "1 statement is not in the ledger yet; the next night posts it.",
        "1 statement is in the ledger and in no settled payout.",
        "1 payment is instructed, and the bank has not answered (all periods).",
    ]
    single = WaitingCount({date(2026, 10, 1): (1, 1)}, 0, 7, NOW)
    found = checks(CLEAN, dict.fromkeys((CONFLICT, LATE_EVENT, TRAFFIC_GROUP), single))
    as_of = "; as of version 7, counted 2026-11-05 00:00 UTC."
    assert found["traffic_groups"].sentence == f"1 group of traffic is under review with 1 event{as_of}"
    assert found["conflicts"].sentence == f"1 event came with the id of another one{as_of}"
    assert found["late_events"].sentence == f"1 event came too late to be counted{as_of}"
    several = checks(CLEAN, {**COUNTED, TRAFFIC_GROUP: WaitingCount({date(2026, 10, 1): (2, 2_300)}, 0, 7, NOW)})
    assert several["traffic_groups"].sentence == f"2 groups of traffic are under review with 2,300 events{as_of}"
    early = replace(CLEAN, settled_until=OCTOBER.end_at)
    settled = checks_of(early, COUNTED, now=NOW, allowed_lateness=timedelta(hours=1))[0]
    assert settled.sentence.endswith("is needed, 1 hour after the end of the period.")


def test_the_forecast_is_the_sum_of_the_estimates_by_currency() -> None:
    estimated = replace(CLEAN, estimates=(StateSum("estimated", "USD", 3, 9),))
    assert forecast(estimated) == ((9, "USD"),)
    billed = replace(estimated, statements=(StateSum("in_review", "USD", 1, 8),))
    assert forecast(billed) == (), "the night that drops the estimates is still to come"


def test_days_that_a_traffic_policy_rules_and_nobody_judged_are_found_in_a_versions_rules() -> None:
    before = {"policy_version": 1, "catalogue_version": 1}
    seen = {"ends": [1], "catalogue_version": 1, "settled_until": "2026-10-05T00:00:00+00:00"}
    of_period = {"days": str(OCTOBER), "ends": [1], "catalogue_version": 1, "findings": 0, "findings_hash": "0" * 64}
    rules = {
        "2026-10-02": before,
        "2026-10-03": before | {"traffic": {"policy_version": 2}},
        "2026-10-04": before | {"traffic": {"policy_version": 2, "period": of_period} | seen},
        "2026-11-01": before | {"traffic": {"policy_version": 2}},
    }
    assert tuple(unjudged_days(OCTOBER, rules_of(rules, "views"))) == (date(2026, 10, 3),)


def test_a_night_notes_what_nobody_has_decided() -> None:
    views = FakeSettledViews([], published(version=4), {"late_review": 3, "conflict": 2})
    kept = FakeWaitingWork()
    counts = note_waiting_work(views, views.reviewed_groups(), FakeBooks(), kept, NOW)
    assert counts == {"late_event": 3, "conflict": 2, "traffic_group": 0}
    assert [each.subject_id for each in kept.items["late_event"]] == ["0:0", "0:1", "0:2"]
    assert kept.items["conflict"][0].remark == "first 0:0; differs in view_duration"


def test_beyond_the_list_items_are_counted_and_not_kept() -> None:
    found = first_of(WaitingItem(f"0:{offset}", NOW) for offset in range(LISTED_MAX + 5))
    assert (len(found.items), found.waiting_count) == (LISTED_MAX, LISTED_MAX + 5)
