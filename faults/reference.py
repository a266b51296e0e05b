"""The reference model: the required counts of a log of messages. Plain Python; shares no code with the product.

It reads the messages from Kafka and applies the written rules: which are valid, which is the first of its id, which of
them are billable. It knows the events that the fault generator makes, not every possible event.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

LATEST = timedelta(minutes=5)
EARLIEST = timedelta(days=35)
MINIMUM_SECONDS = 30
SIZE_MAX = 64 * 1024
CAP = 4
ADVERTISEMENTS_MAX = 50
LAST_YEAR = 9998
CAP_WINDOW = timedelta(hours=24)
ADDED_BY_THE_COLLECTOR = ("received_at", "client_network", "user_agent", "network_kind")


@dataclass(frozen=True)
class LogMessage:
    """One message on Kafka."""

    partition: int
    offset: int
    appended_at_ms: int
    value: bytes


@dataclass
class Recount:
    """The required counts of the messages."""

    verdicts: Counter[str] = field(default_factory=Counter)
    views: Counter[str] = field(default_factory=Counter)
    billable_views: Counter[str] = field(default_factory=Counter)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    """(partition, offset) of every message that breaks the rules."""
    ids: set[str] = field(default_factory=set)
    """The id of every message that can be read."""


def recount(messages: Iterable[LogMessage]) -> Recount:
    """Count from zero, in the order in which the broker received the messages."""
    found = Recount()
    first: dict[str, dict[str, Any]] = {}
    counted: list[dict[str, Any]] = []
    for message in sorted(messages, key=lambda each: (each.appended_at_ms, each.partition, each.offset)):
        event = _read(message.value)
        if event is None:
            found.verdicts["rejected"] += 1
            found.rejected.add((message.partition, message.offset))
            continue
        found.ids.add(event["event_id"])
        received = datetime.fromtimestamp(message.appended_at_ms / 1000, UTC)
        if event["happened_at"] > received + LATEST:
            found.verdicts["rejected"] += 1
            found.rejected.add((message.partition, message.offset))
        elif event["happened_at"] < received - EARLIEST:
            found.verdicts["late_review"] += 1
        elif (former := first.get(event["event_id"])) is not None:
            found.verdicts["duplicate" if former["payload"] == event["payload"] else "conflict"] += 1
        else:
            first[event["event_id"]] = event
            counted.append(event)
            found.verdicts["counted"] += 1
            found.views[event["video_id"]] += 1
    found.billable_views = _billable(counted)
    return found


def _billable(counted: Iterable[Mapping[str, Any]]) -> Counter[str]:
    billable: Counter[str] = Counter()
    paid: dict[tuple[str, str], list[datetime]] = {}
    for event in sorted(counted, key=lambda each: (each["happened_at"], each["event_id"])):
        if not event["revenue_eligible"] or event["view_duration"] < MINIMUM_SECONDS:
            continue
        earlier = paid.setdefault((event["user_id"], event["video_id"]), [])
        if sum(event["happened_at"] - each < CAP_WINDOW for each in earlier) < CAP:
            earlier.append(event["happened_at"])
            billable[event["video_id"]] += 1
    return billable


def _read(value: bytes) -> dict[str, Any] | None:
    """Return the event with `happened_at` and `payload` added; None if it breaks a rule."""
    try:
        if len(value) > SIZE_MAX:
            return None
        event = json.loads(value.decode(), object_pairs_hook=_without_repeats, parse_constant=_refused)
        happened_at = datetime.fromisoformat(event["timestamp"])
        is_valid = (
            str(UUID(event["event_id"])) == event["event_id"]
            and re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", event["video_id"], re.ASCII)
            and happened_at.tzinfo is not None
            and 1970 <= happened_at.astimezone(UTC).year <= LAST_YEAR
            and len(event.get("ad_views") or ()) <= ADVERTISEMENTS_MAX
            and type(event["view_duration"]) is int
            and 0 <= event["view_duration"] <= 86400
            and type(event["revenue_eligible"]) is bool
            and 1 <= len(event["user_id"]) <= 128
            and 1 <= len(event["session_id"]) <= 128
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    payload = {name: field_ for name, field_ in event.items() if name not in ADDED_BY_THE_COLLECTOR}
    return {**event, "happened_at": happened_at, "payload": payload} if is_valid else None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return dict(pairs)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def views_within_horizon(messages: Iterable[LogMessage], horizon_ms: int) -> Counter[str]:
    """Return the views counted by a reader that recognises an id only for a while.

    Broker time is divided into generations of half a horizon. An id is known in the generation in which it was last
    seen and in the two after it, in each partition by itself.
    """
    views: Counter[str] = Counter()
    last_seen: dict[tuple[int, str], int] = {}
    newest: Counter[int] = Counter()
    for message in sorted(messages, key=lambda each: (each.partition, each.offset)):
        event = _read(message.value)
        received = datetime.fromtimestamp(message.appended_at_ms / 1000, UTC)
        if event is None or not received - EARLIEST <= event["happened_at"] <= received + LATEST:
            continue
        generation = max(newest[message.partition], message.appended_at_ms // (horizon_ms // 2))
        newest[message.partition] = generation
        place = (message.partition, event["event_id"])
        if place not in last_seen or generation - last_seen[place] > 2:
            views[event["video_id"]] += 1
        last_seen[place] = generation
    return views
