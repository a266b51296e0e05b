"""Fakes of billing's ports, and short ways to write the records that its tests speak of."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from billing.catalogue import Catalogue, Payee, Video
from billing.money import SHARE_WHOLE_PPM
from billing.rate_cards import RateCard, RateContract
from billing.rated_lines import SINCE_EVER, VIEWS, WITHOUT_END, PayeeBill, RatedLine
from billing.runs import BillingRun
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.version import DayRules, PublishedVersion

OCTOBER, NOVEMBER = Period.parse("2026-10"), Period.parse("2026-11")
CALCULATED_AT = datetime(2026, 12, 3, 4, 5, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Count:
    """A row of the settled counts."""

    video_id: str
    event_day: date
    country: str | None
    views: int
    billable_views: int
    policy_version: int = 1


@dataclass(frozen=True)
class Event:
    """A billable event."""

    video_id: str
    event_id: str
    event_day: date
    country: str | None


def events_of(counts: Iterable[Count]) -> list[Event]:
    """Return as many events as the counts say, in the order of the port."""
    events = [
        Event(count.video_id, event_id(count, index), count.event_day, count.country)
        for count in counts
        for index in range(count.billable_views)
    ]
    return sorted(events, key=lambda event: (event.video_id, event.event_id))


def event_id(count: Count, index: int) -> str:
    digits = hashlib.sha256(f"{count.video_id}|{count.event_day}|{count.country}|{index}".encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


@dataclass
class FakeSettledViews:
    """Implements `billing.ports.SettledViews` from rows in memory."""

    rows: Sequence[Count]
    version: PublishedVersion
    review_items: Mapping[str, int] = field(default_factory=dict)

    def counts(self, period: Period) -> Iterator[Count]:
        return (row for row in self.rows if period.start_on <= row.event_day < period.end_on)

    def billable_events(self, period: Period) -> Iterator[Event]:
        return iter(events_of(self.counts(period)))

    def open_review_items(self, period: Period) -> Mapping[str, int]:
        return self.review_items


@dataclass
class FakeCatalogueStore:
    """Implements `billing.ports.CatalogueStore` in memory."""

    catalogues: list[Catalogue] = field(default_factory=list)
    contracts: list[RateContract] = field(default_factory=list)

    def import_catalogue(self, catalogue: Catalogue, source: str) -> tuple[int, bool]:
        is_new = not self.catalogues or self.catalogues[-1].content_hash() != catalogue.content_hash()
        self.catalogues += [catalogue] if is_new else []
        return len(self.catalogues), is_new

    def import_contract(self, contract: RateContract) -> tuple[int, bool]:
        is_new = not self.contracts or self.contracts[-1].content_hash() != contract.content_hash()
        self.contracts += [contract] if is_new else []
        return len(self.contracts), is_new

    def newest_catalogue(self) -> tuple[int, Catalogue] | None:
        return (len(self.catalogues), self.catalogues[-1]) if self.catalogues else None

    def catalogue(self, version: int) -> Catalogue:
        return self.catalogues[version - 1] if version else Catalogue((), ())

    def newest_contract(self) -> tuple[int, RateContract] | None:
        return (len(self.contracts), self.contracts[-1]) if self.contracts else None


def catalogue_of(**payee_by_video: str) -> Catalogue:
    """Return a catalogue: video id = payee id."""
    payees = tuple(Payee(payee_id, f"Channel {payee_id}") for payee_id in sorted(set(payee_by_video.values())))
    return Catalogue(payees, tuple(Video(video_id, payee_by_video[video_id]) for video_id in sorted(payee_by_video)))


def contract_of(default: int, currency: str = "USD", **by_country: int) -> RateContract:
    """Return a contract with one card that holds from 2020 on."""
    return RateContract(currency, (RateCard(date(2020, 1, 1), default, by_country),))


def published(
    *, version: int = 3, settled_until: datetime = CALCULATED_AT, rules: Mapping[date, DayRules] | None = None
) -> PublishedVersion:
    """Return a published version of two partitions, the second settled an hour further."""
    return PublishedVersion(
        version=version,
        run_id=f"batch-{version}",
        offsets=OffsetVector("video-views", (10, 20)),
        watermarks=(settled_until, settled_until + timedelta(hours=1)),
        snapshots={},
        row_counts={},
        content_hashes={},
        day_rules=rules or {},
        published_at=CALCULATED_AT,
    )


def run_of(period: Period = OCTOBER, **changes: object) -> BillingRun:
    """Return a run of a period with plain versions, by eve, with an approval limit that nothing reaches."""
    values: dict[str, object] = {
        "currency": "USD",
        "batch_version": 3,
        "catalogue_version": 1,
        "contract_version": 1,
        "waived": {},
        "unattributed_views": 0,
        "calculated_at": CALCULATED_AT,
        "actor": "eve",
        "approval_limit_micros": 10**18,
    }
    return BillingRun(period=period, **(values | changes))  # type: ignore[arg-type]


def line(video_id: str = "video-a", views: int = 1000, rate: int = 2_500_000, country: str = "*") -> RatedLine:
    """Return a rated line; its evidence follows from its other values."""
    root = hashlib.sha256(f"{video_id}|{views}|{country}".encode()).hexdigest()
    return RatedLine(
        video_id=video_id,
        owned_from_on=SINCE_EVER,
        owned_to_on=WITHOUT_END,
        share_ppm=SHARE_WHOLE_PPM,
        effective_from_on=date(2020, 1, 1),
        country=country,
        policy_version=1,
        kind=VIEWS,
        tier_index=0,
        event_start=0,
        event_end=views,
        quantity=views,
        rate_per_thousand_micros=rate,
        settled_views=views + 7,
        evidence_root=root,
    )


def bill(payee_id: str, *lines: RatedLine, currency: str = "USD") -> PayeeBill:
    """Return a payee's bill, its lines put in order; one plain line when none is given."""
    return PayeeBill(payee_id, currency, tuple(sorted(lines or (line(),), key=lambda each: each.order)))
