"""The counting rule, case by case; each case reads like a line of the policy."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.contract.counting import (
    Billability,
    Outcome,
    OwnViewer,
    Received,
    Verdict,
    VideoFacts,
    quartile_of,
    settle,
)
from ingestion.contract.day_traffic import JudgedTraffic, TrafficOutcome
from ingestion.contract.event import Reason, RejectedEvent, ViewEvent
from ingestion.contract.offsets import OffsetVector
from tests.shipped_policies import POLICIES, shipped_policy_on

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def view(
    number: int, *, at: datetime = NOON, video: str = "video", user: str | None = None, **changes: object
) -> ViewEvent:
    fields: dict[str, object] = {"view_duration": 60, "revenue_eligible": True, **changes}
    return ViewEvent(uuid.UUID(int=number), video, user or f"user-{number}", "session", at, **fields)  # type: ignore[arg-type]


def received(*events: ViewEvent | RejectedEvent, after: timedelta = timedelta(seconds=1)) -> list[Received]:
    """Put events into partition 0 in this order, each appended a second after the one before."""
    return [Received(0, offset, NOON + after * (offset + 1), event) for offset, event in enumerate(events)]


def outcomes(log: list[Received], **facts: VideoFacts) -> list[Outcome]:
    found = settle(log, facts, shipped_policy_on)
    return [found[each.partition, each.offset] for each in log]


def verdicts(log: list[Received]) -> list[Verdict]:
    return [outcome.verdict for outcome in outcomes(log)]


def billabilities(log: list[Received], **facts: VideoFacts) -> list[Billability | None]:
    return [outcome.billability for outcome in outcomes(log, **facts)]


def test_the_same_id_and_payload_again_is_a_duplicate() -> None:
    assert verdicts(received(view(1), view(2), view(1), view(1))) == ["counted", "counted", "duplicate", "duplicate"]


def test_the_same_id_with_another_payload_is_a_conflict_and_the_first_stays() -> None:
    assert verdicts(received(view(1), view(1, view_duration=61))) == ["counted", "conflict"]


def test_first_means_smallest_append_time_then_partition_then_offset() -> None:
    log = [
        Received(1, 0, NOON, view(1)),
        Received(0, 9, NOON, view(1)),
        Received(0, 1, NOON + timedelta(seconds=1), view(1)),
    ]
    assert verdicts(log) == ["duplicate", "counted", "duplicate"]


@pytest.mark.parametrize(("days_apart", "second"), [(0, "duplicate"), (1, "conflict"), (2, "counted")])
def test_an_id_is_looked_for_on_the_same_and_the_neighbouring_event_days(days_apart: int, second: str) -> None:
    assert verdicts(received(view(1), view(1, at=NOON - timedelta(days=days_apart)))) == ["counted", second]


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (timedelta(days=35), "counted"),
        (timedelta(days=35, microseconds=1), "late_review"),
        (timedelta(days=20_000), "late_review"),
        (timedelta(minutes=-5), "counted"),
        (timedelta(minutes=-5, microseconds=-1), "rejected"),
        (timedelta(days=-20_000), "rejected"),
    ],
)
def test_an_events_own_time_lies_between_35_days_before_and_5_minutes_after_receipt(
    age: timedelta, verdict: str
) -> None:
    log = [Received(0, 0, NOON, view(1, at=NOON - age))]
    assert verdicts(log) == [verdict]


def test_a_late_event_does_not_hide_a_later_one_of_its_id() -> None:
    late = view(1, at=NOON - timedelta(days=36))
    assert verdicts(received(late, view(1))) == ["late_review", "counted"]


def late(number: int, **changes: object) -> ViewEvent:
    return view(number, at=NOON - timedelta(days=36), **changes)  # type: ignore[arg-type]


def with_accepted(log: list[Received], *offsets: int) -> list[Outcome]:
    found = settle(log, {}, shipped_policy_on, accepted={(0, offset) for offset in offsets})
    return [found[each.partition, each.offset] for each in log]


def test_an_accepted_late_event_counts_under_its_own_hour_and_one_that_waits_does_not() -> None:
    first, second = with_accepted(received(late(1), late(2)), 1)
    assert (first.verdict, first.event_hour, first.billability) == ("late_review", NOON, None)
    assert (second.verdict, second.event_hour) == ("counted", NOON - timedelta(days=36))
    assert second.billability == "billable"


def test_an_accepted_late_event_is_a_repeat_of_what_came_in_time_even_if_that_came_later() -> None:
    in_time = view(1, at=NOON - timedelta(days=34, hours=23))
    log = [*received(late(1), late(1)), Received(0, 2, NOON + timedelta(seconds=3), in_time)]
    assert [each.verdict for each in with_accepted(log, 0, 1)] == ["conflict", "conflict", "counted"]
    assert [each.verdict for each in with_accepted(log[:2], 0, 1)] == ["counted", "duplicate"]


def test_an_accepted_late_event_takes_its_place_in_the_cap_of_its_own_day() -> None:
    views = [late(n, user="fan") for n in range(5)]
    found = with_accepted(received(*views), 0, 1, 2, 3, 4)
    assert [each.billability for each in found] == [*["billable"] * 4, "over_cap"]


def test_a_decision_about_a_time_without_a_policy_or_an_event_that_is_not_late_changes_nothing() -> None:
    ancient = view(1, at=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC))
    log = received(ancient, view(2), RejectedEvent((Reason("json_malformed", ""),)))
    assert with_accepted(log, 0, 1, 2) == outcomes(log)


def test_rejected_and_late_events_are_filed_under_the_hour_of_receipt_and_others_under_their_own() -> None:
    log = received(
        RejectedEvent((Reason("json_malformed", ""),)),
        view(1, at=NOON - timedelta(days=36)),
        view(2, at=NOON - timedelta(hours=3, minutes=10)),
    )
    assert [outcome.event_hour.hour for outcome in outcomes(log)] == [12, 12, 8]


@pytest.mark.parametrize(
    ("changes", "length_seconds", "billability"),
    [
        ({"view_duration": 30}, None, "billable"),
        ({"view_duration": 29}, None, "below_minimum"),
        ({"view_duration": 29}, 29, "billable"),
        ({"view_duration": 28}, 29, "below_minimum"),
        ({"view_duration": 30}, 600, "billable"),
        ({"revenue_eligible": False}, None, "not_eligible"),
        ({"revenue_eligible": False, "view_duration": 1}, None, "not_eligible"),
        ({"user": "owner"}, None, "own_view"),
        ({"user": "owner", "view_duration": 1}, None, "below_minimum"),
    ],
)
def test_a_counted_view_is_billable_unless_a_rule_says_otherwise(
    changes: dict[str, object], length_seconds: int | None, billability: str
) -> None:
    log = received(view(1, **changes))  # type: ignore[arg-type]
    assert billabilities(log, video=VideoFacts(length_seconds, (OwnViewer("owner"),))) == [billability]


@pytest.mark.parametrize(
    ("seconds", "length_seconds", "quartile"),
    [(0, 100, 0), (24, 100, 0), (25, 100, 1), (50, 101, 1), (51, 101, 2), (99, 100, 3), (100, 100, 4), (86_400, 1, 4),
     (0, 1, 0), (86_400, 2_147_483_647, 0), (60, None, None)],
)  # fmt: skip
def test_a_view_reaches_the_quarters_of_a_length_that_is_known(
    seconds: int, length_seconds: int | None, quartile: int | None
) -> None:
    assert quartile_of(view(1, view_duration=seconds), VideoFacts(length_seconds)) == quartile


@pytest.mark.parametrize(
    ("changes", "billability"),
    [
        ({}, "unattested"),
        ({"revenue_eligible": False}, "not_eligible"),
        ({"view_duration": 1}, "unattested"),
        ({"user": "owner"}, "unattested"),
    ],
)
def test_a_policy_may_ask_for_attested_events_and_then_no_other_is_billable(
    changes: dict[str, object], billability: str
) -> None:
    (plain,) = received(view(1, **changes))  # type: ignore[arg-type]
    asking = replace(POLICIES[0], asks_attestation=True)
    facts = {"video": VideoFacts(600, (OwnViewer("owner"),))}
    for policy, is_attested, wanted in (
        (asking, False, billability),
        (asking, True, None),
        (POLICIES[0], False, None),
    ):
        (out,) = settle([replace(plain, is_attested=is_attested)], facts, lambda _, policy=policy: policy).values()
        assert out.verdict == "counted", "it stays a view"
        plainly = billabilities([plain], video=facts["video"])[0]
        assert out.billability == (wanted or plainly)


def test_views_that_nobody_vouches_for_do_not_use_up_the_cap() -> None:
    log = received(*(view(n, at=NOON - timedelta(minutes=9 - n), user="fan") for n in range(9)))
    log = [replace(each, is_attested=each.offset > 4) for each in log]
    asking = replace(POLICIES[0], asks_attestation=True)
    found = settle(log, {}, lambda _: asking)
    assert [found[0, n].billability for n in range(9)] == ["unattested"] * 5 + ["billable"] * 4


def test_at_most_four_views_of_a_viewer_and_video_are_billable_in_any_24_hours() -> None:
    hours = [0, 1, 2, 3, 4, 23, 24, 24.5, 25, 26, 27]
    start = NOON - timedelta(days=3)
    log = received(*(view(n, at=start + timedelta(hours=hour), user="fan") for n, hour in enumerate(hours)))
    assert [hour for hour, found in zip(hours, billabilities(log), strict=True) if found == "billable"] == [
        0, 1, 2, 3, 24, 25, 26, 27,
    ]  # fmt: skip


def test_the_cap_takes_the_earliest_views_whatever_order_they_arrive_in() -> None:
    log = received(*(view(n, at=NOON - timedelta(minutes=n), user="fan") for n in range(6)))
    assert billabilities(log) == ["over_cap", "over_cap", "billable", "billable", "billable", "billable"]


def test_views_of_the_same_instant_are_capped_in_order_of_their_ids() -> None:
    log = received(*(view(n, user="fan") for n in (5, 4, 3, 2, 1)))
    assert billabilities(log) == ["over_cap", "billable", "billable", "billable", "billable"]


def test_views_that_are_not_billable_do_not_use_up_the_cap() -> None:
    events = [view(n, at=NOON - timedelta(minutes=9 - n), user="fan", view_duration=1 + 59 * (n > 4)) for n in range(9)]
    assert billabilities(received(*events)) == ["below_minimum"] * 5 + ["billable"] * 4


ROBOT = {"user_agent": "Googlebot/2.1"}


def test_what_would_be_counted_but_for_its_agent_is_invalid_traffic_and_has_no_billability() -> None:
    invalid, valid = outcomes(received(view(1, **ROBOT), view(2)))
    assert (invalid.verdict, invalid.billability) == ("invalid_traffic", None)
    assert [each.code for each in invalid.reasons] == ["declared_robot"]
    assert (valid.verdict, valid.reasons) == ("counted", ())


def test_a_repeat_is_a_repeat_whether_it_or_the_first_is_a_robots() -> None:
    assert verdicts(received(view(1, **ROBOT), view(1))) == ["invalid_traffic", "duplicate"]
    assert verdicts(received(view(1, **ROBOT), view(1, view_duration=61))) == ["invalid_traffic", "conflict"]
    assert verdicts(received(view(1), view(1, **ROBOT))) == ["counted", "duplicate"]


def test_a_late_event_of_a_robot_waits_like_any_other_and_is_invalid_when_it_is_accepted() -> None:
    log = [Received(0, 0, NOON + timedelta(days=36), view(1, **ROBOT))]
    assert verdicts(log) == ["late_review"]
    assert settle(log, {}, shipped_policy_on, accepted={(0, 0)})[0, 0].verdict == "invalid_traffic"


def test_what_an_older_contract_reads_is_counted_as_before() -> None:
    log = [replace(each, contract=2) for each in received(view(1, **ROBOT))]
    assert verdicts(log) == ["counted"]


def test_a_view_of_a_robot_takes_no_place_in_the_cap() -> None:
    robots = [view(number, user="fan", **ROBOT) for number in range(4)]
    people = [view(number, user="fan", at=NOON - timedelta(minutes=number)) for number in range(10, 14)]
    assert billabilities(received(*robots, *people)) == [None] * 4 + ["billable"] * 4


CROWD = Reason("crowd", "Viewers act as one")


def judged(log: list[Received], end: int = 99, **by_offset: str) -> list[Outcome]:
    """Return the outcomes when the day rules saw the log up to an end, and say this of some offsets (`of_1`)."""
    places = {(0, int(name.removeprefix("of_"))): (TrafficOutcome(each), CROWD) for name, each in by_offset.items()}
    traffic = JudgedTraffic(places, {NOON.date(): OffsetVector("video-views", (end,))})
    found = settle(log, {}, shipped_policy_on, traffic=traffic)
    return [found[each.partition, each.offset] for each in log]


def test_what_a_day_rule_calls_invalid_leaves_its_place_in_the_cap_to_the_next() -> None:
    log = received(*[view(number, user="fan", at=NOON + timedelta(minutes=number)) for number in range(6)])
    found = judged(log, of_1="invalid")
    assert (found[1].verdict, found[1].reasons, found[1].billability) == (Verdict.INVALID_TRAFFIC, (CROWD,), None)
    assert [each.billability for each in found] == ["billable", None, "billable", "billable", "billable", "over_cap"]


def test_what_is_under_review_keeps_its_place_in_the_cap() -> None:
    log = received(*[view(number, user="fan", at=NOON + timedelta(minutes=number)) for number in range(6)])
    found = judged(log, of_1="review", of_5="review")
    assert [each.billability for each in found] == [
        "billable", "under_review", "billable", "billable", "over_cap", "over_cap"
    ]  # fmt: skip
    assert {each.verdict for each in found} == {Verdict.COUNTED}


def test_what_comes_after_its_day_was_judged_is_counted_and_not_billable_yet() -> None:
    log = received(view(1), view(2), view(3, at=NOON - timedelta(days=1)), view(4, revenue_eligible=False))
    found = [each.billability for each in judged(log, end=1)]
    assert found == ["billable", "traffic_pending", "billable", "not_eligible"], "the day before was not judged"


def test_a_day_rule_never_makes_a_repeat_or_a_general_reason_something_else() -> None:
    robot = view(2, user_agent="Googlebot/2.1")
    log = received(view(1), view(1), robot, view(3))
    found = judged(log, of_0="invalid", of_1="invalid", of_2="invalid", of_3="review")
    assert [each.verdict for each in found] == ["invalid_traffic", "duplicate", "invalid_traffic", "counted"]
    assert [[reason.code for reason in each.reasons] for each in found] == [["crowd"], [], ["declared_robot"], []]
