"""Find which line of a statement pays which event. Pure; streams."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from billing.rating.rated_lines import VIEWS
from billing.terms.contracts import Contract
from ingestion.contract.settled import BillableEvent


class PaidGroup(NamedTuple):
    """The properties that the events of a group share, for one payee."""

    video_id: str
    owned_from_on: date
    effective_from_on: date
    country: str
    policy_version: int


@dataclass(frozen=True)
class PaidLine:
    """The part of a line that concerns the events it pays."""

    line_index: int
    key: PaidGroup
    owned_to_on: date
    kind: str
    event_start: int
    event_end: int
    evidence_root: str


class Paid(NamedTuple):
    """An event and the lines that pay it; none if the statement pays fewer events than there are."""

    event: BillableEvent
    lines: tuple[PaidLine, ...]


def excluded_by_contract(day: date, view_duration: int, contract: Contract, length_seconds: int | None) -> str | None:
    """Return why a contract does not pay a view that the policy finds billable; None if it does."""
    card = contract.card_on(day)
    if card is None:
        return "no_card"
    minimum = card.minimum_view_seconds or 0
    if length_seconds is not None:
        minimum = min(minimum, length_seconds)
    return "below_minimum" if view_duration < minimum else None


def paid_events(
    events: Iterable[BillableEvent],
    lines: Iterable[PaidLine],
    contract: Contract,
    length_by_video: Mapping[str, int],
) -> Iterator[Paid]:
    """Yield every event that the lines pay, in the order of `events`: ascending by (video_id, event_id).

    Memory holds the lines and one counter for each of a video's groups.
    """
    by_video: defaultdict[str, list[PaidLine]] = defaultdict(list)
    for line in lines:
        by_video[line.key.video_id].append(line)
    for video_id, of_video in itertools.groupby(events, key=lambda event: event.video_id):
        counts: Counter[PaidGroup] = Counter()
        for event in of_video:
            length_seconds = length_by_video.get(video_id)
            if excluded_by_contract(event.event_day, event.view_duration, contract, length_seconds):
                continue
            group = [line for line in by_video[video_id] if _is_about(line, event, contract)]
            if group:
                index = counts[group[0].key]
                counts[group[0].key] += 1
                paying = tuple(line for line in group if line.event_start <= index < line.event_end)
                yield Paid(event, paying)


def view_line(paid: Paid) -> PaidLine | None:
    """Return the line that pays the view itself; None for an event beyond those that the statement pays."""
    return next((line for line in paid.lines if line.kind == VIEWS), None)


def _is_about(line: PaidLine, event: BillableEvent, contract: Contract) -> bool:
    card = contract.card_on(event.event_day)
    return (
        card is not None
        and line.key.effective_from_on == card.effective_from_on
        and line.key.country == card.heading_of(event.country)
        and line.key.policy_version == event.policy_version
        and line.key.owned_from_on <= event.event_day < line.owned_to_on
    )
