"""What waits for a person in the batch tables: late events, conflicts, groups under review. Knows only ports.

A night notes it for the pages of finance, which read no batch tables.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import islice

from billing.books.book_ports import Books, WaitingItem, WaitingWork
from billing.period_billing import place_of
from billing.ports import SettledViews
from ingestion.contract.periods import Period
from ingestion.contract.settled import Conflict, ReviewedEvent
from ingestion.contract.traffic_groups import ReviewedGroup

LATE_EVENT, CONFLICT, TRAFFIC_GROUP = "late_event", "conflict", "traffic_group"
EVER = Period(date(1970, 1, 1), date(9999, 1, 1))
"""All days that an event can claim."""
LISTED_MAX = 10_000
"""The most of one kind that is listed; the others are counted. Senders decide how many there are."""
ASKED_TOGETHER = 5_000


@dataclass(frozen=True)
class Waiting:
    """What waits of one kind: all counted, the first ones listed."""

    items: tuple[WaitingItem, ...]
    waiting_count: int


def note_waiting_work(
    views: SettledViews, groups: Iterable[ReviewedGroup], books: Books, kept: WaitingWork, now: datetime
) -> Mapping[str, int]:
    """Keep what waits in the version, in place of what was noted before; return kind → how many wait.

    `groups` are those of the version.
    """
    found = {
        LATE_EVENT: first_of(_undecided(LATE_EVENT, views.late_events(EVER), books)),
        CONFLICT: first_of(_undecided(CONFLICT, views.conflicts(EVER), books)),
        TRAFFIC_GROUP: first_of(map(_group, groups)),
    }
    for kind, waiting in found.items():
        kept.replace(kind, waiting.items, waiting.waiting_count, batch_version=views.version.version, counted_at=now)
    return {kind: waiting.waiting_count for kind, waiting in found.items()}


def first_of(items: Iterable[WaitingItem]) -> Waiting:
    """Count all items and keep the first ones; memory does not grow with the number of items."""
    listed, count = list[WaitingItem](), 0
    for item in items:
        count += 1
        if count <= LISTED_MAX:
            listed.append(item)
    return Waiting(tuple(listed), count)


def _undecided(kind: str, events: Iterable[ReviewedEvent], books: Books) -> Iterator[WaitingItem]:
    """Yield the events that nobody has decided on."""
    rest = iter(events)
    while group := list(islice(rest, ASKED_TOGETHER)):
        decided = books.decisions(kind, [place_of(each) for each in group])
        yield from (_event(each) for each in group if place_of(each) not in decided)


def _event(event: ReviewedEvent) -> WaitingItem:
    remark = ""
    if isinstance(event, Conflict):
        remark = f"first {event.first_place}; differs in {', '.join(event.differing) or 'what is not kept'}"
    return WaitingItem(
        subject_id=place_of(event),
        happened_at=event.happened_at,
        received_at=event.appended_at,
        video_id=event.video_id,
        event_id=event.event_id,
        remark=remark,
    )


def _group(reviewed: ReviewedGroup) -> WaitingItem:
    group = reviewed.group
    return WaitingItem(
        subject_id=group.name,
        happened_at=datetime.combine(group.day, time(), UTC),
        event_count=group.event_count,
        payee_id=group.payee_id,
        remark=group.reason,
    )
