"""A published version: the record behind the pointer that all reads of money go through."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.event_contracts import BEFORE_VERSIONS, EventContracts
from ingestion.contract.offsets import LogPlace, OffsetVector


@dataclass(frozen=True)
class DayRules:
    """The rules that an event day was last judged with."""

    policy_version: int
    catalogue_version: int
    """0 means the empty catalogue."""


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
