"""A published version: the record behind the pointer that all reads of money go through."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.event_contracts import BEFORE_VERSIONS, EventContracts
from ingestion.contract.offsets import LogPlace, OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.traffic_groups import TrafficDecision


@dataclass(frozen=True)
class SeenTraffic:
    """What the day rules of traffic saw when they last judged an event day."""

    end: OffsetVector
    """They saw the events below it; later ones wait until the day is judged again."""
    catalogue_version: int
    settled_until: datetime
    """All events appended before this instant were among them, in every partition."""
    reviewed: tuple[str, ...] = ()
    """The reasons that suddenly had many events when the day was judged first: none of them is more than a review."""


@dataclass(frozen=True)
class SeenPeriod:
    """What the rules of a period saw when they judged the period of an event day, and what they found in it."""

    period: Period
    end: OffsetVector
    """They saw the events below it."""
    catalogue_version: int
    finding_count: int
    findings_hash: str
    """Of what was found on all days that were judged together; see `findings_hash`."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any], topic: str) -> "SeenPeriod":
        """Parse the output of `to_json`."""
        end = OffsetVector(topic, tuple(document["ends"]))
        found = (document["findings"], document["findings_hash"])
        return cls(Period.parse(document["days"]), end, document["catalogue_version"], *found)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "days": str(self.period),
            "ends": list(self.end.ends),
            "catalogue_version": self.catalogue_version,
            "findings": self.finding_count,
            "findings_hash": self.findings_hash,
        }


@dataclass(frozen=True)
class DayRules:
    """The rules that an event day was last judged with."""

    policy_version: int
    catalogue_version: int
    """0 means the empty catalogue."""
    traffic_policy_version: int = 0
    """The policy of the day rules of traffic; 0: there are none for this day."""
    seen: SeenTraffic | None = None
    """None while no day rule has judged the day."""
    period: SeenPeriod | None = None
    """None while the rules of a period have not judged the day's; they do so once."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any], topic: str) -> "DayRules":
        """Parse the output of `to_json`, or that of a release without rules of traffic."""
        traffic = document.get("traffic", {"policy_version": 0})
        seen = None
        period = SeenPeriod.from_json(traffic["period"], topic) if "period" in traffic else None
        if "ends" in traffic:
            end = OffsetVector(topic, tuple(traffic["ends"]))
            settled_until = datetime.fromisoformat(traffic["settled_until"])
            reviewed = tuple(traffic.get("reviewed", ()))
            seen = SeenTraffic(end, traffic["catalogue_version"], settled_until, reviewed)
        return cls(document["policy_version"], document["catalogue_version"], traffic["policy_version"], seen, period)

    def to_json(self) -> dict[str, Any]:
        """Return the rules as a JSON object; a day without rules of traffic has no `traffic`."""
        document: dict[str, Any] = {
            "policy_version": self.policy_version,
            "catalogue_version": self.catalogue_version,
        }
        if self.traffic_policy_version:
            document["traffic"] = {"policy_version": self.traffic_policy_version}
        if self.seen is not None:
            document["traffic"] |= {
                "catalogue_version": self.seen.catalogue_version,
                "settled_until": self.seen.settled_until.isoformat(),
                "ends": list(self.seen.end.ends),
            }
            if self.seen.reviewed:
                document["traffic"]["reviewed"] = list(self.seen.reviewed)
        if self.period is not None:
            document["traffic"]["period"] = self.period.to_json()
        return document


def rules_of(document: Mapping[str, Mapping[str, Any]], topic: str) -> dict[date, DayRules]:
    """Return day → its rules, parsed from the JSON object in which a version keeps them."""
    return {date.fromisoformat(day): DayRules.from_json(rules, topic) for day, rules in document.items()}


@dataclass(frozen=True)
class PublishedVersion:
    """One published batch result. Versions are numbered from 1 without gaps and are immutable."""

    version: int
    run_id: str
    offsets: OffsetVector
    watermarks: tuple[datetime, ...]
    """For every partition the instant before which all appended events are covered."""
    snapshots: Mapping[str, int]
    """Table name → Iceberg snapshot id."""
    row_counts: Mapping[str, int]
    content_hashes: Mapping[str, str]
    """Table name → order-free hash of its rows; equal content gives an equal hash."""
    day_rules: Mapping[date, DayRules]
    published_at: datetime
    accepted_late: tuple[LogPlace, ...] = ()
    """The late events that this version is the first to accept, ascending; they stay accepted in later versions."""
    traffic_decisions: tuple[TrafficDecision, ...] = ()
    """The decisions about groups under review that this version is the first to apply; they stay applied."""
    event_contracts: EventContracts = BEFORE_VERSIONS
    """The version of the event contract that each message was read by."""
    attesting_keys: AttestingKeys | None = None
    """The keys that vouch for its events; None if a program judged it that did not look at attestations."""

    @property
    def settled_until(self) -> datetime:
        """All events appended before this instant are settled, in every partition."""
        return min(self.watermarks)


class ExpiredVersionError(LookupError):
    """A version was published, and is no longer kept; the message is one sentence."""

    def __init__(self, version: int, expired_at: datetime, next_kept: int) -> None:
        super().__init__(
            f"version {version} is no longer kept: it expired at {expired_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; "
            f"the next version that is kept is {next_kept}"
        )


def contracts_after(former: PublishedVersion | None, counted: OffsetVector) -> EventContracts:
    """Return the event contracts of the version that follows `former` and covers `counted`.

    Published events keep their contract; the newest is in force from the end of `former` on.
    """
    if former is not None:
        return former.event_contracts.followed_by_newest(former.offsets)
    return EventContracts.of_new_log(counted.topic, len(counted.ends))
