"""What is answered about an event that no statement can pay yet: too late, or not settled."""

from dataclasses import dataclass, replace
from datetime import date
from typing import cast

import pytest

from billing.proof.event_answers import EventAnswers, ProofBooks, VersionEvents
from ingestion.contract.settled import JudgedEvent

DAY = date(2026, 9, 1)
EVENT = "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"


COPY = JudgedEvent(
    "v",
    3,
    17,
    "2026-11-25T00:00:00Z",
    DAY,
    "ZZ",
    "late_review",
    "late_review",
    (),
    view_duration=60,
    policy_version=None,
)
"""One message of the log."""


@dataclass(frozen=True)
class Events:
    """The events of every version."""

    copies: tuple[JudgedEvent, ...]

    def copies_of(self, event_id: str) -> tuple[JudgedEvent, ...]:
        return self.copies if event_id == EVENT else ()


@dataclass(frozen=True)
class Books:
    """Books with one owner and perhaps one decision."""

    decided: str | None

    def owners(self, video_id: str, day: date) -> list[str]:
        return ["ann"] if (video_id, day) == ("v", DAY) else []

    def late_decision(self, place: str) -> str | None:
        return self.decided if place == "3:17" else None


def answers(decided: str | None, *copies: JudgedEvent, version: int | None = 1, since: str = "") -> EventAnswers:
    events = cast(VersionEvents, Events(copies))
    return EventAnswers(
        cast(ProofBooks, Books(decided)), lambda _: events, lambda: version, lambda asked: asked == since
    )


def test_invalid_traffic_is_excluded_by_its_class_and_not_by_its_rule() -> None:
    rule = ("The user agent names a robot",)
    robot = replace(COPY, verdict="invalid_traffic", outcome="invalid_traffic:robot", reasons=rule)
    found = answers(None, robot).payment(EVENT)
    assert (found.status, found.reason) == ("excluded", "invalid_traffic:robot")
    assert [(part.payee_id, part.status, part.reason) for part in found.parts] == [("ann", "excluded", found.reason)]


@pytest.mark.parametrize(
    ("decided", "status", "reason"),
    [
        (None, "pending", "late_review"),
        ("accepted", "pending", "late_accepted"),
        ("rejected", "excluded", "late_rejected"),
    ],
)
def test_a_late_event_waits_until_it_is_rejected_and_its_owner_is_that_of_its_own_day(
    decided: str | None, status: str, reason: str
) -> None:
    found = answers(decided, COPY).payment(EVENT)
    assert (found.status, found.reason) == (status, reason)
    assert [(part.payee_id, part.status, part.reason) for part in found.parts] == [("ann", status, reason)]


def test_a_rejected_event_is_not_a_late_one_despite_a_decision_at_its_place() -> None:
    broken = replace(COPY, verdict="rejected", outcome="rejected:clock_suspect", reasons=("from the future",))
    found = answers("accepted", broken).payment(EVENT)
    assert (found.status, found.reason) == ("excluded", "from the future")


@pytest.mark.parametrize("version", [1, None])
def test_an_event_that_is_counted_provisionally_waits_and_one_that_nobody_has_is_unknown(version: int | None) -> None:
    found = answers(None, version=version, since=EVENT).payment(EVENT)
    assert (found.status, found.reason, found.copies, found.parts) == ("pending", "not_settled", (), ())
    found = answers(None, version=version).payment(EVENT)
    assert (found.status, found.reason) == ("unknown", None)


def test_without_the_speed_layer_an_event_that_is_not_settled_is_unknown_for_that_reason() -> None:
    found = replace(answers(None), is_counted_since=lambda _: None).payment(EVENT)
    assert (found.status, found.reason) == ("unknown", "speed_layer_away")


def test_a_settled_event_is_answered_without_asking_what_is_provisional() -> None:
    broken = replace(COPY, verdict="rejected", outcome="rejected:clock_suspect", reasons=("from the future",))
    assert answers(None, broken, since=EVENT).payment(EVENT).status == "excluded"


@pytest.mark.parametrize("outcome", ["under_review", "traffic_pending"])
def test_a_view_that_may_still_become_billable_is_pending(outcome: str) -> None:
    found = answers(None, replace(COPY, verdict="counted", outcome=outcome)).payment(EVENT)
    assert (found.status, found.reason) == ("pending", outcome)
    assert [(part.status, part.reason) for part in found.parts] == [("pending", outcome)]
