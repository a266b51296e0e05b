"""Which advertisements of an event count: by identity, by watched time, and in number."""

import random

import pytest

from ingestion.contract.advertisements import SECONDS_MIN, counted_ad_types
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import ADVERTISEMENTS_MAX, AdView, RejectedEvent, ViewEvent
from ingestion.contract.event_contracts import OLDEST
from tests.unit.test_decoding import encode

SEED = 20261128


def shown(seconds: int, *ad_views: AdView) -> list[str]:
    decoded = decode_view_event(encode(view_duration=seconds))
    assert isinstance(decoded, ViewEvent)
    return counted_ad_types(ViewEvent(**{**fields(decoded), "ad_views": list(ad_views)}))


def fields(event: ViewEvent) -> dict[str, object]:
    return {name: getattr(event, name) for name in ViewEvent.__struct_fields__}


def test_one_advertisement_counts_once_in_an_event_whatever_it_is_called_the_second_time() -> None:
    assert shown(60, AdView("a", "pre"), AdView("a", "mid"), AdView("b"), AdView("a", "pre")) == ["pre", "unknown"]


def test_advertisements_last_together_at_most_as_long_as_the_view() -> None:
    three = [AdView(name, name, 20) for name in ("one", "two", "three")]
    assert shown(60, *three) == ["one", "two", "three"]
    assert shown(59, *three) == ["one", "two"]
    assert shown(59, *three, AdView("short", "short", 15)) == ["one", "two", "short"], "what has no room takes none"


def test_one_that_names_no_seconds_or_fewer_takes_the_least_there_is() -> None:
    many = [AdView(str(index), "x", seconds) for index, seconds in enumerate([None, 0, 1, SECONDS_MIN] * 5)]
    assert len(shown(4 * SECONDS_MIN, *many)) == 4


@pytest.mark.parametrize("seconds", [0, 1, 14])
def test_the_first_has_room_in_the_shortest_view_for_it_plays_before_the_video(seconds: int) -> None:
    assert shown(seconds, AdView("a", "pre", 15), AdView("b", "mid", 15)) == ["pre"]


def test_an_event_with_more_than_any_player_shows_is_rejected_by_name() -> None:
    def with_count(count: int) -> bytes:
        return encode(view_duration=86_400, ad_views=[{"ad_id": str(index)} for index in range(count)])

    most = decode_view_event(with_count(ADVERTISEMENTS_MAX))
    assert isinstance(most, ViewEvent)
    assert len(counted_ad_types(most)) == ADVERTISEMENTS_MAX
    for count in (ADVERTISEMENTS_MAX + 1, 1_800):
        rejected = decode_view_event(with_count(count))
        assert isinstance(rejected, RejectedEvent)
        assert [reason.code for reason in rejected.reasons] == ["ad_views_too_many"]
        assert isinstance(decode_view_event(with_count(count), OLDEST), ViewEvent), "what is archived stays as it was"


def test_whatever_is_sent_no_more_is_counted_than_the_rule_has_room_for() -> None:
    rng = random.Random(SEED)
    for _ in range(2_000):
        seconds = rng.choice([0, 4, 5, 29, 30, 3_600, 86_400])
        sent = [
            AdView(
                rng.choice("abcdefgh"), rng.choice([None, "", "pre\npre", "mid"]), rng.choice([None, 0, 5, 30, 86_400])
            )
            for _ in range(rng.randrange(12))
        ]
        found = shown(seconds, *sent)
        assert len(found) <= min(len({each.ad_id for each in sent}), max(1, seconds // SECONDS_MIN)), (SEED, sent)
        assert bool(found) == bool(sent), (SEED, sent)
        assert set(found) <= {each.ad_type or "unknown" for each in sent}, (SEED, sent)
