"""Define what counts, in plain Python: the one verdict of every event, and billability.

`settle` is the whole rule over a whole log. The speed layer applies its first half event by event (`judge_alone`);
the batch layer states all of it in Spark SQL, and a law test proves on random logs that both give the same outcome for
every event.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from ingestion.contract.day_traffic import NO_TRAFFIC, JudgedTraffic
from ingestion.contract.event import Reason, RejectedEvent, ViewEvent, payload_digest
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.offsets import LogPlace
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.traffic import invalid_reason

LATE_AFTER = timedelta(days=35)
CLOCK_TOLERANCE = timedelta(minutes=5)
NEIGHBOUR_DAYS = timedelta(days=1)
ACCEPTABLE_FROM = datetime(1970, 1, 1, tzinfo=UTC)
"""A late event from before this instant stays late despite any decision: no counting policy was in force."""


class Verdict(StrEnum):
    """The one verdict of an event; together they add up to the events received."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    """Same id and same payload as an earlier event."""
    CONFLICT = "conflict"
    """Same id as an earlier event, another payload: the first one stays, this one goes to review."""
    REJECTED = "rejected"
    LATE_REVIEW = "late_review"
    """Happened more than 35 days before it was received, and no person has accepted it."""
    INVALID_TRAFFIC = "invalid_traffic"
    """Would be counted, but no viewer made it: `traffic`, or a rule of the day, gives the reason."""


class Billability(StrEnum):
    """Whether a counted view is billable, and if not, the first rule it fails, in this order."""

    BILLABLE = "billable"
    NOT_ELIGIBLE = "not_eligible"
    UNATTESTED = "unattested"
    """Nobody vouches for the event, and the policy asks for it."""
    BELOW_MINIMUM = "below_minimum"
    OWN_VIEW = "own_view"
    OVER_CAP = "over_cap"
    UNDER_REVIEW = "under_review"
    """It would be billable, and keeps its place in the cap, but a person must decide on its group."""
    TRAFFIC_PENDING = "traffic_pending"
    """The same, but it came after the day rules of traffic had judged its day; they will judge the day again."""


@dataclass(frozen=True)
class Received:
    """A decoded event and its place in the log; `appended_at` is the broker's append time."""

    partition: int
    offset: int
    appended_at: datetime
    decoded: ViewEvent | RejectedEvent
    contract: int = NEWEST
    """The version of the event contract that reads it."""
    is_attested: bool = False
    """Whether a key that was in force at its place vouches for the message."""


class OwnViewer(NamedTuple):
    """The viewer pseudonym of an owner of a video, or of a share of it, on the days [from_on, to_on)."""

    user_id: str
    from_on: date = date.min
    to_on: date = date.max


@dataclass(frozen=True)
class VideoFacts:
    """The catalogue's facts of a video that billability needs; an unknown length is None."""

    length_seconds: int | None = None
    own_viewers: tuple[OwnViewer, ...] = ()
    """Views of one's own video are not billable on the days of ownership."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one event. `billability` is set exactly for counted events."""

    verdict: Verdict
    event_hour: datetime
    reasons: tuple[Reason, ...] = ()
    """Why it was rejected; of any other event, why it is invalid traffic unless it has another verdict. The reason of a
    day rule stands only where it is the cause of the verdict."""
    billability: Billability | None = None


@dataclass(frozen=True)
class LateEvent:
    """A well-formed event that came too late to be counted without review."""

    event: ViewEvent


def judge_alone(decoded: ViewEvent | RejectedEvent, appended_at: datetime) -> ViewEvent | RejectedEvent | LateEvent:
    """Judge an event by itself: a candidate for counting, rejected, or late.

    An event that claims to happen more than five minutes after it was received is rejected as `clock_suspect`.
    """
    if isinstance(decoded, RejectedEvent):
        return decoded
    if decoded.timestamp > appended_at + CLOCK_TOLERANCE:
        detail = f"timestamp: {decoded.timestamp.isoformat()} is more than 5 minutes after {appended_at.isoformat()}"
        return RejectedEvent((Reason("clock_suspect", detail),), str(decoded.event_id))
    if decoded.timestamp < appended_at - LATE_AFTER:
        return LateEvent(decoded)
    return decoded


def hour_of(instant: datetime) -> datetime:
    """Return the UTC hour that holds `instant`."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(instant: datetime) -> date:
    """Return the UTC day that holds `instant`."""
    return instant.astimezone(UTC).date()


def settle(
    log: Iterable[Received],
    facts: Mapping[str, VideoFacts],
    policy_for: Callable[[date], CountingPolicy],
    accepted: Collection[LogPlace] = frozenset(),
    traffic: JudgedTraffic = NO_TRAFFIC,
) -> dict[LogPlace, Outcome]:
    """Return the outcome of every event of a log by (partition, offset).

    "First" means smallest (append time, partition, offset). An id is looked up among the events of the same and the
    neighbouring event days. Only an event that would be counted can be invalid traffic: whether it is has no influence
    on which one is first. Events without a trustworthy time of their own (rejected, late) are filed under the hour
    they were received in.

        `accepted` are the late events that a person accepted. They are judged like any other, under their own hour, but
        after all events that were not late: a decision never turns an event that already counts into a repeat.

    `traffic` is what the day rules say. It replaces only `counted`, and only `billable`.
    """
    outcomes: dict[LogPlace, Outcome] = {}
    candidates: list[tuple[Received, ViewEvent]] = []
    late: list[tuple[Received, ViewEvent]] = []
    earlier_by_id: defaultdict[object, list[tuple[date, str]]] = defaultdict(list)
    counted: list[tuple[Received, ViewEvent]] = []
    for received in sorted(log, key=lambda each: (each.appended_at, each.partition, each.offset)):
        place = (received.partition, received.offset)
        judged = judge_alone(received.decoded, received.appended_at)
        if isinstance(judged, RejectedEvent):
            outcomes[place] = Outcome(Verdict.REJECTED, hour_of(received.appended_at), judged.reasons)
        elif isinstance(judged, ViewEvent):
            candidates.append((received, judged))
        elif place in accepted and judged.event.timestamp >= ACCEPTABLE_FROM:
            late.append((received, judged.event))
        else:
            hour = hour_of(received.appended_at)
            outcomes[place] = Outcome(Verdict.LATE_REVIEW, hour, _invalid_reasons(received, judged.event))
    for received, event in candidates + late:
        earlier = earlier_by_id[event.event_id]
        verdict = judge_among(event, earlier)
        earlier.append((day_of(event.timestamp), payload_digest(event)))
        place = (received.partition, received.offset)
        reasons = _invalid_reasons(received, event)
        if verdict is Verdict.COUNTED and not reasons and (found := traffic.invalid_reason(place)):
            reasons = (found,)
        if verdict is Verdict.COUNTED and reasons:
            verdict = Verdict.INVALID_TRAFFIC
        outcomes[place] = Outcome(verdict, hour_of(event.timestamp), reasons)
        if verdict is Verdict.COUNTED:
            counted.append((received, event))
    for (received, event), billability in zip(counted, _billabilities(counted, facts, policy_for), strict=True):
        place = (received.partition, received.offset)
        settled = judge_traffic(billability, day_of(event.timestamp), place, traffic)
        outcomes[place] = Outcome(Verdict.COUNTED, hour_of(event.timestamp), (), settled)
    return outcomes


def judge_traffic(billability: Billability, day: date, place: LogPlace, traffic: JudgedTraffic) -> Billability:
    """Return the billability of a counted view by the last rule, which comes after the cap."""
    if billability is not Billability.BILLABLE:
        return billability
    if traffic.is_reviewed(place):
        return Billability.UNDER_REVIEW
    return Billability.TRAFFIC_PENDING if traffic.is_pending(day, place) else Billability.BILLABLE


def _invalid_reasons(received: Received, event: ViewEvent) -> tuple[Reason, ...]:
    found = invalid_reason(event, received.contract)
    return () if found is None else (found.reason,)


def judge_among(event: ViewEvent, earlier: Sequence[tuple[date, str]]) -> Verdict:
    """Return the verdict of an event given (event day, payload digest) of all earlier ones of its id, in order."""
    day = day_of(event.timestamp)
    near = [digest for earlier_day, digest in earlier if abs(earlier_day - day) <= NEIGHBOUR_DAYS]
    if not near:
        return Verdict.COUNTED
    return Verdict.DUPLICATE if near[0] == payload_digest(event) else Verdict.CONFLICT


def judge_billability_alone(
    event: ViewEvent, facts: VideoFacts, *, policy: CountingPolicy, is_attested: bool
) -> Billability:
    """Return the billability of a counted view before the cap per viewer is applied."""
    minimum = policy.minimum_view_seconds
    if facts.length_seconds is not None:
        minimum = min(minimum, facts.length_seconds)
    if not event.revenue_eligible:
        return Billability.NOT_ELIGIBLE
    if policy.asks_attestation and not is_attested:
        return Billability.UNATTESTED
    if event.view_duration < minimum:
        return Billability.BELOW_MINIMUM
    day = day_of(event.timestamp)
    if any(own.user_id == event.user_id and own.from_on <= day < own.to_on for own in facts.own_viewers):
        return Billability.OWN_VIEW
    return Billability.BILLABLE


def quartile_of(event: ViewEvent, facts: VideoFacts) -> int | None:
    """Return how many quarters of the video's length a counted view lasted, 0 to 4; None if the length is not known.

    Seconds that were watched twice count twice, as the player reports no more than their sum.
    """
    if facts.length_seconds is None:
        return None
    return min(4, 4 * event.view_duration // facts.length_seconds)


def apply_cap(happened: Sequence[datetime], paid_before: Sequence[datetime], policy: CountingPolicy) -> list[bool]:
    """Return, for the views of one viewer and video in order of (timestamp, event id), which stay billable.

    A view is billable if fewer than `billable_per_viewer_max` billable ones lie in the window that ends with it:
    never more than the cap in any 24 hours, the earliest first. `paid_before` are the instants of earlier billable
    views, ascending.
    """
    paid = list(paid_before)
    kept = []
    for instant in happened:
        in_window = len(paid) - bisect_right(paid, instant - policy.viewer_window)
        kept.append(in_window < policy.billable_per_viewer_max)
        if kept[-1]:
            paid.append(instant)
    return kept


def _billabilities(
    counted: Sequence[tuple[Received, ViewEvent]],
    facts: Mapping[str, VideoFacts],
    policy_for: Callable[[date], CountingPolicy],
) -> list[Billability]:
    unknown = VideoFacts()
    found: list[Billability] = []
    by_viewer: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (received, event) in enumerate(counted):
        policy, known = policy_for(day_of(event.timestamp)), facts.get(event.video_id, unknown)
        found.append(judge_billability_alone(event, known, policy=policy, is_attested=received.is_attested))
        if found[-1] is Billability.BILLABLE:
            by_viewer[event.user_id, event.video_id].append(index)
    for indexes in by_viewer.values():
        paid: list[datetime] = []
        for index in sorted(indexes, key=lambda each: (counted[each][1].timestamp, counted[each][1].event_id)):
            happened = counted[index][1].timestamp
            if apply_cap([happened], paid, policy_for(day_of(happened)))[0]:
                paid.append(happened)
            else:
                found[index] = Billability.OVER_CAP
    return found
