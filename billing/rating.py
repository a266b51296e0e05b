"""Rating: settled counts and events of a period + catalogue + rates → one bill per payee. Pure, order-free."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from billing.catalogue import Catalogue
from billing.errors import EvidenceMismatchError
from billing.evidence import MerkleTree
from billing.money import SHARE_WHOLE_PPM
from billing.ports import BillableEvent, SettledCount
from billing.rate_cards import Rate, RateContract
from billing.rated_lines import SINCE_EVER, VIEWS, WITHOUT_END, PayeeBill, RatedLine


class LineKey(NamedTuple):
    """What the views of one line have in common."""

    video_id: str
    rate: Rate
    policy_version: int


@dataclass
class LineCount:
    """The views of one line so far."""

    settled_views: int = 0
    billable_views: int = 0


@dataclass
class RatedViews:
    """The counts of a period, sorted into lines; what could not be sorted stands beside them, never lost."""

    lines: dict[LineKey, LineCount] = field(default_factory=lambda: defaultdict(LineCount))
    policy_by_day: dict[date, int] = field(default_factory=dict)
    unattributed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Video without a payee → billable views."""
    unrated: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    """Event day before the first rate card → billable views."""


def rate_views(counts: Iterable[SettledCount], catalogue: Catalogue, contract: RateContract) -> RatedViews:
    """Sort counts into lines by video, rate and policy; their order does not matter.

    Raises:
        EvidenceMismatchError: two rows of one day name different policies.
    """
    rated = RatedViews()
    for count in counts:
        if rated.policy_by_day.setdefault(count.event_day, count.policy_version) != count.policy_version:
            raise EvidenceMismatchError(f"event day {count.event_day} was judged by two counting policies at once")
        if count.video_id not in catalogue.payee_by_video:
            if count.billable_views:
                rated.unattributed[count.video_id] += count.billable_views
            continue
        rate = contract.rate_on(count.event_day, count.country)
        if rate is None:
            if count.billable_views:
                rated.unrated[count.event_day] += count.billable_views
            continue
        line = rated.lines[LineKey(count.video_id, rate, count.policy_version)]
        line.settled_views += count.views
        line.billable_views += count.billable_views
    return rated


def evidence_roots(
    events: Iterable[BillableEvent], contract: RateContract, policy_by_day: Mapping[date, int]
) -> dict[LineKey, tuple[int, str]]:
    """Return (number of events, Merkle root in hex) of every line, from events ascending by (video_id, event_id).

    One pass; holds the trees of one video at a time. Events of days without a rate are left out.

    Raises:
        EvidenceMismatchError: the events are not in order, one stands twice, or one lies on a day without counts.
    """
    found: dict[LineKey, tuple[int, str]] = {}
    last = ("", "")
    for video_id, group in itertools.groupby(events, key=lambda event: event.video_id):
        trees: defaultdict[LineKey, MerkleTree] = defaultdict(MerkleTree)
        for event in group:
            place = (video_id, event.event_id)
            if place <= last:
                raise EvidenceMismatchError(f"event {event.event_id} of video {video_id} stands twice or out of order")
            last = place
            rate = contract.rate_on(event.event_day, event.country)
            policy_version = policy_by_day.get(event.event_day)
            if policy_version is None:
                raise EvidenceMismatchError(f"event {event.event_id} lies on {event.event_day}, a day without counts")
            if rate is not None:
                trees[LineKey(video_id, rate, policy_version)].add(event.event_id.encode("ascii"))
        found |= {key: (tree.leaf_count, tree.root().hex()) for key, tree in trees.items()}
    return found


def make_bills(
    rated: RatedViews, evidence: Mapping[LineKey, tuple[int, str]], catalogue: Catalogue, currency: str
) -> list[PayeeBill]:
    """Return one bill per payee with billable views, by payee id, lines in order.

    Raises:
        EvidenceMismatchError: a line's count is not the number of its events.
    """
    lines: defaultdict[str, list[RatedLine]] = defaultdict(list)
    for key, count in rated.lines.items():
        event_count, root = evidence.get(key, (0, ""))
        if event_count != count.billable_views:
            raise EvidenceMismatchError(
                f"video {key.video_id}, country {key.rate.country}, rates from {key.rate.effective_from_on}: "
                f"{count.billable_views} billable views but {event_count} billable events"
            )
        if count.billable_views:
            lines[catalogue.payee_by_video[key.video_id]].append(_line(key, count, root))
    for key in evidence:
        if key not in rated.lines and key.video_id in catalogue.payee_by_video:
            raise EvidenceMismatchError(f"video {key.video_id} has billable events and no counts")
    ordered = {payee_id: tuple(sorted(of_payee, key=lambda line: line.order)) for payee_id, of_payee in lines.items()}
    return [PayeeBill(payee_id, currency, ordered[payee_id]) for payee_id in sorted(ordered)]


def _line(key: LineKey, count: LineCount, root: str) -> RatedLine:
    return RatedLine(
        video_id=key.video_id,
        owned_from_on=SINCE_EVER,
        owned_to_on=WITHOUT_END,
        share_ppm=SHARE_WHOLE_PPM,
        effective_from_on=key.rate.effective_from_on,
        country=key.rate.country,
        policy_version=key.policy_version,
        kind=VIEWS,
        tier_index=0,
        event_start=0,
        event_end=count.billable_views,
        quantity=count.billable_views,
        rate_per_thousand_micros=key.rate.per_thousand_micros,
        settled_views=count.settled_views,
        evidence_root=root,
    )
