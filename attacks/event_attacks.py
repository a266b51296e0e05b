"""Forged events, over HTTP and straight to Kafka: what an anonymous sender could have counted, paid or stopped."""

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attacks.attempts import Attack
from attacks.site import Site
from ingestion.contract.advertisements import counted_ad_types
from ingestion.contract.countries import country_of
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent, ViewEvent

EDGES_OF_TIME = (
    "0001-01-01T00:00:00+01:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999999999Z",
    "0000-01-01T00:00:00Z",
    "2026-11-20T24:00:00Z",
    "2026-11-20T10:00:60Z",
    "2026-11-20T10:00:00+99:99",
    "2026-02-30T10:00:00Z",
    "+12026-11-20T10:00:00Z",
)
HOSTILE_VIDEO_IDS = (
    "../../etc/passwd",
    "v" * 65,
    "",
    "a b",
    "vid\n",
    "ｖideo",
    "vide\u043e",
    "v\u0000",
    "{views:1}",
    "v;--",
)
HOSTILE_IDS = ("", "0", "not-a-uuid", "{}", "00000000-0000-0000-0000-00000000000g", "٠" * 32, "0" * 5_000)
ADVERTISEMENTS = 1_800
REPEATS = 200


def impossible_instants(site: Site) -> Iterator[str | None]:
    """Instants without a form in UTC or without meaning; one would stop every batch run, or count in no period."""
    for text in EDGES_OF_TIME:
        yield _unless_rejected(site, site.event(timestamp=text), text)
    site.produce([_message(site.event(timestamp=text)) for text in EDGES_OF_TIME])
    yield site.has_counting_stopped()


def instants_from_the_future(site: Site) -> Iterator[str | None]:
    """Views that have not happened yet, by minutes and by years; they would be paid in a period to come."""
    for later in (timedelta(minutes=6), timedelta(days=1), timedelta(days=40), timedelta(days=36_500)):
        yield _unless_rejected(site, site.event(timestamp=(datetime.now(UTC) + later).isoformat()), f"{later} ahead")


def rounded_instants(site: Site) -> Iterator[str | None]:
    """More digits than microseconds, just before midnight; rounding up would move a view into the next month."""
    for digits in ("9999999", "99999999", "999999999", "9999995"):
        event = _decoded(site.event(timestamp=f"2026-10-31T23:59:59.{digits}Z"))
        is_moved = isinstance(event, ViewEvent) and event.timestamp.astimezone(UTC).month != 10
        yield f".{digits} became {event.timestamp}" if is_moved and isinstance(event, ViewEvent) else None


def many_advertisements(site: Site) -> Iterator[str | None]:
    """One view with 1,800 advertisements, of one id and of many; each would be paid."""
    for ids in (["ad"] * ADVERTISEMENTS, [f"ad{number}" for number in range(ADVERTISEMENTS)]):
        shown = [{"ad_id": each} for each in ids]
        event = _decoded(site.event(ad_views=shown, view_duration=60))
        paid = len(counted_ad_types(event)) if isinstance(event, ViewEvent) else 0
        yield f"{paid} of {ADVERTISEMENTS} advertisements in a minute would be paid" if paid > 60 else None


def packed_advertisements(site: Site) -> Iterator[str | None]:
    """One advertisement whose type holds separators; packed into text and split again it would be paid often."""
    for separator in ("\n", ",", "|", ";", "\t", "\0", "\x1f", '","', "\u2028", "\r\n"):
        shown = [{"ad_id": "ad", "ad_type": separator.join(["pre_roll"] * 3)}]
        event = _decoded(site.event(ad_views=shown))
        paid = counted_ad_types(event) if isinstance(event, ViewEvent) else ()
        yield f"one advertisement of type {shown[0]['ad_type']!r} is {len(paid)}" if len(paid) > 1 else None


def other_spellings_of_an_id(site: Site) -> Iterator[str | None]:
    """One id in every spelling of a UUID; each spelling would count once more."""
    first = site.event()
    number = uuid.UUID(first["event_id"])
    spellings = (str(number), str(number).upper(), number.hex, number.hex.upper(), f"{{{number}}}", number.urn)
    site.produce([_message(first | {"event_id": each}) for each in spellings])
    for each in spellings:
        site.result_of(first | {"event_id": each})
    yield site.has_counting_stopped()
    views = site.views([first["video_id"]])[first["video_id"]]
    yield f"one id in {len(spellings)} spellings counted {views} views" if views > 1 else None


def repeated_events(site: Site) -> Iterator[str | None]:
    """One event sent hundreds of times over HTTP and straight to Kafka; each would count once more."""
    event = site.event()
    site.produce([_message(event)] * REPEATS)
    body = b"\n".join([json.dumps(event).encode()] * REPEATS)
    site.collector.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
    yield site.has_counting_stopped()
    views = site.views([event["video_id"]])[event["video_id"]]
    yield f"{2 * REPEATS} messages of one id counted {views} views" if views > 1 else None


def collector_fields(site: Site) -> Iterator[str | None]:
    """A sender supplies what only the collector knows: when it was received, from where, by which agent."""
    forged = {
        "received_at": "2020-01-01T00:00:00Z",
        "client_network": "10.1.2.0/24",
        "network_kind": "relay/1",
        "user_agent": "forged",
    }
    event = site.event(**forged)
    site.result_of(event)
    kept = [each for each in site.messages() if event["event_id"].encode() in (each.value or b"")]
    yield None if kept else "the event is not on the log, so nothing is proven"
    for each in kept:
        stored = json.loads(each.value)
        for name, value in forged.items():
            yield f"{name} is kept as the sender forged it" if stored.get(name) == value else None
        yield "the raw viewer id is on the log" if stored.get("user_id") == event["user_id"] else None


def ambiguous_objects(site: Site) -> Iterator[str | None]:
    """Objects that two readers read differently: keys twice, numbers as text, NaN, two objects, other encodings."""
    good = json.dumps(site.event()).encode()
    for value in (
        good[:-1] + b',"view_duration":86400}',
        good[:-1] + b',"video_\\u0069d":"other"}',
        good.replace(b": 60", b': "60"'),
        good.replace(b": 60", b": 60.0"),
        good.replace(b": 60", b": 6e1"),
        good.replace(b": 60", b": true"),
        good.replace(b"true", b"1"),
        good[:-1] + b',"more":NaN}',
        good + good,
        good.decode().encode("utf-16"),
        good.replace(b"viewer", b"view\xed\xa0\x80er"),
    ):
        event = decode_view_event(value)
        yield None if isinstance(event, RejectedEvent) else f"{value[:60]!r}… … {value[-40:]!r} is read as an event"


def huge_values(site: Site) -> Iterator[str | None]:
    """Numbers of thousands of digits, deep nesting, a field of a megabyte; one would stop any decoder."""
    good = json.dumps(site.event()).encode()
    values = [
        good.replace(b": 60", b": " + b"9" * 5_000),
        good.replace(b": 60", b": 1e999999"),
        good[:-1] + b',"more":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        good[:-1] + b',"more":"' + b"x" * 1_000_000 + b'"}',
        good[:-1] + b',"schema_version":' + b"9" * 400 + b"}",
    ]
    for value in values:
        yield _unless_rejected(site, value, f"{len(value)} bytes")
    site.produce([(value, b"key") for value in values if len(value) < 900_000])
    yield site.has_counting_stopped()


def prices_by_spelling(site: Site) -> Iterator[str | None]:
    """Countries in other spellings; `us` would earn another rate than `US`."""
    for spelling in ("us", "Us", "USA", "usa", " US", "US ", "US-CA", "840"):
        event = _decoded(site.event(geo_location=spelling))
        country = country_of(event.geo_location) if isinstance(event, ViewEvent) else "rejected"
        yield None if country in ("US", "ZZ", "rejected") else f"{spelling!r} is priced as {country!r}"


def hostile_names(site: Site) -> Iterator[str | None]:
    """Ids of videos and events that are paths, keys of Redis or other alphabets; one would reach another's counts."""
    for video_id in HOSTILE_VIDEO_IDS:
        yield _unless_rejected(site, site.event(video_id=video_id), repr(video_id))
    for event_id in HOSTILE_IDS:
        yield _unless_rejected(site, site.event(event_id=event_id), repr(event_id)[:60])


def _message(event: Mapping[str, Any]) -> tuple[bytes, bytes]:
    return json.dumps(event).encode(), str(event["video_id"]).encode(errors="replace")


def _decoded(event: Mapping[str, Any]) -> ViewEvent | RejectedEvent:
    return decode_view_event(json.dumps(event).encode())


def _unless_rejected(site: Site, event: Mapping[str, Any] | bytes, what: str) -> str | None:
    result = site.result_of(event)
    return f"{what} was accepted" if result.get("status") == "accepted" else None


FAMILY: dict[str, Attack] = {
    "event-impossible-instants": impossible_instants,
    "event-from-the-future": instants_from_the_future,
    "event-rounded-instants": rounded_instants,
    "event-many-advertisements": many_advertisements,
    "event-packed-advertisements": packed_advertisements,
    "event-id-spellings": other_spellings_of_an_id,
    "event-repeated": repeated_events,
    "event-collector-fields": collector_fields,
    "event-ambiguous": ambiguous_objects,
    "event-huge": huge_values,
    "event-country-spellings": prices_by_spelling,
    "event-hostile-names": hostile_names,
}
