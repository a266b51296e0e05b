"""The day rules find what honest people cannot do, and leave alone what they do."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.day_rules import day_outcomes
from batch_layer.traffic.findings import Finding, totals
from bench.labelled import held_out_families as families
from bench.labelled.files import days_of
from bench.labelled.world import World
from ingestion.contract.traffic import CLASS_OF_CODE
from ingestion.contract.traffic_policy import INVALID_POINTS, REVIEW_POINTS, SHIPPED, STRONG_HINT_POINTS
from ingestion.contract.traffic_reasons import DayReason, InvalidClass
from tests.day_events import view_at

DAY = date(2026, 11, 20)
MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
POLICY = SHIPPED


def view(number: int, at: float, **fields: object) -> DayEvent:
    """A view of one viewer on one device, some seconds after the morning."""
    happened = MORNING + timedelta(seconds=at)
    return view_at(number, happened, **fields)


def reasons(events: list[DayEvent]) -> Counter[tuple[str, str]]:
    return Counter((each.reason, each.outcome) for each in day_outcomes(events, DAY, POLICY))


def test_one_viewer_of_twelve_videos_at_once_again_and_again_is_invalid() -> None:
    events = [view(burst * 12 + each, burst * 2_000 + each) for burst in range(3) for each in range(12)]
    assert reasons(events) == {("plays_at_once", "invalid"): 36}


def test_opening_twelve_pages_at_once_one_time_is_nothing() -> None:
    assert not reasons([view(each, each) for each in range(12)])


def test_a_family_of_four_on_one_account_is_nothing() -> None:
    events = [
        view(4 * turn + each, 700 * turn + each, payee_id=f"p{each}", session_id=f"s{each}", view_duration=600)
        for turn in range(20)
        for each in range(4)
    ]
    assert not reasons(events)


def test_a_day_has_no_fifty_hours() -> None:
    events = [view(each, 3_000 * (each % 17), view_duration=10_000, payee_id=f"p{each}") for each in range(18)]
    assert set(reasons(events)) == {("more_hours_than_a_day", "invalid")}
    assert not reasons(events[:8]), "22 hours are a television that was left on"


def test_five_countries_within_hours_are_invalid_and_two_are_a_telephone_that_roams() -> None:
    def moving(countries: str, **fields: object) -> list[DayEvent]:
        names = countries.split()
        return [view(each, 400 * each, country=names[each % len(names)], **fields) for each in range(12)]

    assert reasons(moving("DE FR PL JP BR")) == {("countries_within_hours", "invalid"): 12}
    assert reasons(moving("DE FR PL")) == {("countries_within_hours", "review"): 12}
    assert not reasons(moving("DE FR"))
    assert not reasons(moving("DE FR PL JP BR", network_kind="relay/3"))


def test_a_viewer_in_twenty_networks_within_hours_is_invalid_and_a_commuter_is_not() -> None:
    def moving(networks: int, **fields: object) -> list[DayEvent]:
        return [view(each, 400 * each, network=f"n{each % networks}", **fields) for each in range(24)]

    assert reasons(moving(20)) == {("networks_within_hours", "invalid"): 24}
    assert reasons(moving(10)) == {("networks_within_hours", "review"): 24}
    assert not reasons(moving(5)), "a telephone on a train, and at home"
    assert not reasons(moving(20, network_kind="relay/3"))
    sittings = [view(each, 5_000 * (each % 17), network=f"n{each}") for each in range(17)]
    assert not reasons(sittings), "a carrier gives another network for each sitting"


def test_even_pauses_after_views_of_different_lengths_are_a_robot() -> None:
    def watching(pauses: list[float], whole: bool = False) -> list[DayEvent]:
        events, at = [], 0.0
        for number, pause in enumerate(pauses):
            seconds = 600 if whole else 40 + 13 * number
            events.append(view(number, at, view_duration=seconds, payee_id=f"p{number % 5}"))
            at += seconds + pause
        return events

    assert reasons(watching([20.2] * 16)) == {("even_pauses", "invalid"): 16}
    assert not reasons(watching([20.2] * 16, whole=True)), "the player begins the next video by itself"
    assert not reasons(watching([3.0 + 9 * (each % 4) for each in range(16)]))
    assert not reasons(watching([1.5] * 30)), "the next video begins as soon as it is chosen"


def test_one_session_of_five_viewers_in_five_networks_is_invalid() -> None:
    def shared(viewers: int, payees: int = 1) -> list[DayEvent]:
        return [
            view(each, 3_000 * each, user_id=f"u{each}", network=f"n{each}", payee_id=f"p{each % payees}")
            for each in range(viewers)
        ]

    assert reasons(shared(5)) == {("shared_session", "invalid"): 5}
    assert reasons(shared(3)) == {("shared_session", "review"): 3}
    assert not reasons(shared(2))
    assert not reasons(shared(9, payees=9)), "a player that gives all sessions one name"


def test_the_same_script_over_networks_is_invalid_and_a_whole_playlist_is_not() -> None:
    def playing(seconds: tuple[int, ...]) -> list[DayEvent]:
        return [
            view(5 * viewer + each, 4_000 * viewer + 700 * each, view_duration=length, video_id=f"v{each}",
                 user_id=f"u{viewer}", session_id=f"s{viewer}", network=f"n{viewer}", payee_id=f"p{each}")
            for viewer in range(7)
            for each, length in enumerate(seconds)
        ]  # fmt: skip

    assert reasons(playing((100, 222, 61, 340))) == {("repeated_script", "invalid"): 28}
    assert not reasons(playing((600, 600, 600, 600)))


def test_a_herd_that_begins_three_videos_at_the_same_times_is_found() -> None:
    events = [
        view(3 * viewer + each, 3_000 * each + viewer, video_id=f"v{each}", user_id=f"u{viewer}", network=f"n{viewer}",
             session_id=f"s{viewer}", payee_id=f"p{each}")
        for viewer in range(16)
        for each in range(3)
    ]  # fmt: skip
    assert reasons(events) == {("lockstep", "invalid"): 48}
    assert not reasons([each._replace(network="home") for each in events]), "a class in one room"


def test_evidence_of_two_classes_adds_up_and_of_one_class_it_does_not() -> None:
    place = (0, 0)
    early = Finding(place, DayReason.NOBODY_LEAVES_EARLY, STRONG_HINT_POINTS)
    paid = Finding(place, DayReason.LEAVE_ONCE_PAID, STRONG_HINT_POINTS)
    session = Finding(place, DayReason.SHARED_SESSION, REVIEW_POINTS)
    assert totals([early, paid], POLICY)[place] == ("review", DayReason.NOBODY_LEAVES_EARLY, STRONG_HINT_POINTS)
    assert totals([early, session], POLICY)[place] == ("invalid", DayReason.NOBODY_LEAVES_EARLY, 110)


@pytest.mark.parametrize("reason", DayReason)
def test_every_reason_has_a_class_that_payees_see(reason: DayReason) -> None:
    assert CLASS_OF_CODE[reason.code] is reason.its_class
    assert len(InvalidClass) == 6


def test_nothing_of_honest_people_is_called_invalid_where_nobody_attacks() -> None:
    world = World(20_261_129, DAY, size=6_000)
    world.ordinary()
    for family in families.HONEST:
        family(world)
    invalid = [
        (world.labels[event.event_id].family, outcome.reason)
        for day, rows in days_of(world.events)
        for found in [{(each.partition, each.offset): each for each in day_outcomes(rows, day, POLICY)}]
        for event in rows
        if (outcome := found.get((event.partition, event.offset))) is not None and outcome.points >= INVALID_POINTS
    ]
    assert not Counter(invalid)
