"""Fakes of billing's ports, and short ways to write the records that its tests speak of."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from billing.books.runs import BillingRun
from billing.money import SHARE_WHOLE_PPM
from billing.rating.attribution import Attribution
from billing.rating.rated_lines import VIEWS, PayeeBill, RatedLine
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Contracts, Rate, RateCard, RateForm, Tier
from billing.terms.imports import Imported
from billing.terms.ownership import whole_share
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.settled import Conflict, OwnedDays, ReviewedEvent, SettledPiece, UnplacedViews
from ingestion.contract.traffic_evidence import GroupEvidence
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup
from ingestion.contract.version import DayRules, PublishedVersion

OCTOBER, NOVEMBER = Period.parse("2026-10"), Period.parse("2026-11")
CALCULATED_AT = datetime(2026, 12, 3, 4, 5, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Count:
    """The views of one video, day and country in a published version, each `seconds` long."""

    video_id: str
    event_day: date
    country: str | None
    views: int
    """All counted views."""
    billable_views: int
    policy_version: int = 1
    seconds: int = 60
    ads: Mapping[str, int] = field(default_factory=dict)
    """Ad type → ad views, all of them during the first billable view."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Outcome → events that are not counted."""
    unbillable: str = "not_eligible"
    """The outcome of the counted views that are not billable."""


def event_id(count: Count, index: int) -> str:
    digits = hashlib.sha256(f"{count.video_id}|{count.event_day}|{count.country}|{index}".encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


@lru_cache(maxsize=1024)
def event_ids(video_id: str, event_day: date, country: str | None, count: int) -> Sequence[str]:
    """The ids of the first events of a row: each night of a law reads those of the nights before again."""
    return tuple(event_id(Count(video_id, event_day, country, count, count), index) for index in range(count))


@dataclass
class FakeSettledViews:
    """Implements `billing.ports.SettledViews` from rows in memory, event by event, by the plainest reading."""

    rows: Sequence[Count]
    version: PublishedVersion
    review_items: Mapping[str, int] = field(default_factory=dict)
    broken: Sequence[str] = ()
    ids_in_piece: int = 2
    differences: Sequence[str] = ()

    def pieces(self, attribution: Attribution, policy: CountingPolicy | None = None) -> Iterator[SettledPiece]:
        groups: dict[tuple[object, ...], tuple[Counter[str], Counter[str], list[str]]] = {}
        for count, owned, card in self._placed(attribution):
            if owned is not None and card is not None:
                key = (owned.payee_id, owned.video_id, owned.from_on, card.effective_from_on)
                key += (card.heading_of(count.country), count.policy_version, owned.to_on, owned.share_ppm)
                outcomes, ads, ids = groups.setdefault(key, (Counter(), Counter(), []))
                shortest = max(card.minimum_view_seconds or 0, policy.minimum_view_seconds if policy else 0)
                minimum = min(shortest, owned.length_seconds or 86_400)
                is_long = count.seconds >= minimum
                outcomes["billable" if is_long else "below_minimum"] += count.billable_views
                outcomes[count.unbillable] += count.views - count.billable_views
                outcomes.update(count.others)
                if is_long and count.billable_views:
                    ads.update(count.ads)
                    ids += event_ids(count.video_id, count.event_day, count.country, count.billable_views)
        for key, (outcomes, ads, ids) in sorted(groups.items(), key=lambda item: item[0]):  # type: ignore[arg-type]
            payee_id, video_id, from_on, effective, heading, policy, to_on, share = key
            place = (payee_id, video_id, from_on, effective, heading, policy, to_on, share)
            ids.sort()
            yield SettledPiece(*place, +outcomes, ads, ids[: self.ids_in_piece])  # type: ignore[arg-type]
            for start in range(self.ids_in_piece, len(ids), self.ids_in_piece):
                yield SettledPiece(*place, {}, {}, ids[start : start + self.ids_in_piece])  # type: ignore[arg-type]

    def unplaced(self, attribution: Attribution) -> Iterator[UnplacedViews]:
        for count, owned, card in self._placed(attribution):
            if card is None and count.billable_views:
                payee_id = None if owned is None else owned.payee_id
                yield UnplacedViews(count.video_id, payee_id, count.billable_views, count.event_day)

    def contradictions(self, period: Period) -> Sequence[str]:
        return self.broken

    def videos_seen(self, days: Collection[date], among: Collection[str]) -> set[str]:
        return {row.video_id for row in self.rows if row.event_day in days and row.video_id in among}

    def open_review_items(self, period: Period) -> Mapping[str, int]:
        return self.review_items

    def reviewed_groups(self) -> list[ReviewedGroup]:
        return []

    def group_evidence(self, groups: Collection[TrafficGroup]) -> dict[TrafficGroup, GroupEvidence]:
        return {each: GroupEvidence({}, ()) for each in groups}

    def late_events(self, period: Period) -> Iterator[ReviewedEvent]:
        return (ReviewedEvent(*fields) for fields in self._reviewed(period, "late_review"))

    def conflicts(self, period: Period) -> Iterator[Conflict]:
        return (Conflict(*fields, "0:0", ("view_duration",)) for fields in self._reviewed(period, "conflict"))

    def _reviewed(self, period: Period, verdict: str) -> Iterator[tuple[int, int, str, str, datetime, datetime]]:
        at = datetime.combine(period.start_on, time(), UTC)
        for offset in range(self.review_items.get(verdict, 0)):
            yield 0, offset, f"event-{offset}", "v", at, CALCULATED_AT

    def _placed(self, attribution: Attribution) -> Iterator[tuple[Count, OwnedDays | None, RateCard | None]]:
        owned_by_video: defaultdict[str, list[OwnedDays]] = defaultdict(list)
        for owned in attribution.owners():
            owned_by_video[owned.video_id].append(owned)
        for row in self.rows:
            if attribution.period.start_on <= row.event_day < attribution.period.end_on:
                owners = [own for own in owned_by_video[row.video_id] if own.from_on <= row.event_day < own.to_on]
                for owned in owners:
                    contract = attribution.contracts.contract_for(owned.payee_id)
                    yield row, owned, None if contract is None else contract.card_on(row.event_day)
                if not owners:
                    yield row, None, None

    def unreconciled(self) -> Sequence[str]:
        return self.differences


@dataclass
class FakeCatalogueStore:
    """Implements `billing.ports.CatalogueStore` in memory."""

    catalogues: list[Catalogue] = field(default_factory=list)
    imported_contracts: list[Contracts] = field(default_factory=list)

    def import_catalogue(self, catalogue: Catalogue, source: str) -> Imported:
        is_new = not self.catalogues or self.catalogues[-1] != catalogue
        self.catalogues += [catalogue] if is_new else []
        return Imported(len(self.catalogues), is_new)

    def import_contracts(self, contracts: Contracts) -> Imported:
        is_new = not self.imported_contracts or self.imported_contracts[-1] != contracts
        self.imported_contracts += [contracts] if is_new else []
        return Imported(len(self.imported_contracts), is_new)

    def newest_catalogue(self) -> tuple[int, Catalogue] | None:
        return (len(self.catalogues), self.catalogues[-1]) if self.catalogues else None

    def catalogue(self, version: int) -> Catalogue:
        return self.catalogues[version - 1] if version else Catalogue((), (), ())

    def newest_contracts(self) -> tuple[int, Contracts] | None:
        return (len(self.imported_contracts), self.imported_contracts[-1]) if self.imported_contracts else None

    def is_in_force(self, kind: str, version: int) -> bool:
        return 1 <= version <= len(self.catalogues if kind == "catalogue" else self.imported_contracts)

    def contracts(self, version: int) -> Contracts:
        return self.imported_contracts[version - 1]


def catalogue_of(**payee_by_video: str) -> Catalogue:
    """Return a catalogue: video id = the one payee that owns it."""
    payees = tuple(Payee(payee_id, f"Channel {payee_id}") for payee_id in sorted(set(payee_by_video.values())))
    videos = sorted(payee_by_video)
    shares = tuple(whole_share(video_id, payee_by_video[video_id]) for video_id in videos)
    return Catalogue(payees, tuple(map(Video, videos)), shares)


def flat(per_thousand_micros: int) -> Rate:
    """Return a rate without tiers."""
    return Rate(RateForm.FLAT, (Tier(None, per_thousand_micros),))


def card_of(default: int | Rate, effective_from_on: date = date(2020, 1, 1), **by_country: int | Rate) -> RateCard:
    """Return a card; a number is a flat rate."""
    rates = {name: flat(rate) if isinstance(rate, int) else rate for name, rate in by_country.items()}
    return RateCard(effective_from_on, flat(default) if isinstance(default, int) else default, rates)


def contracts_of(*cards: RateCard, currency: str = "USD") -> Contracts:
    """Return one contract for everybody."""
    return Contracts(currency, (Contract("standard", None, cards),))


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
        "unknown_views": 0,
        "calculated_at": CALCULATED_AT,
        "actor": "eve",
        "approval_limit_micros": 10**18,
    }
    return BillingRun(period=period, **(values | changes))  # type: ignore[arg-type]


OWN_VIDEO = "video-a"
"""The video of a line that names none: in a bill it is the payee's own, for two payees are not paid for one view."""


def line(video_id: str = OWN_VIDEO, views: int = 1000, rate: int = 2_500_000, country: str = "*") -> RatedLine:
    """Return a rated line; its evidence follows from its other values."""
    root = hashlib.sha256(f"{video_id}|{views}|{country}".encode()).hexdigest()
    return RatedLine(
        video_id=video_id,
        owned_from_on=OCTOBER.start_on,
        owned_to_on=OCTOBER.end_on,
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
    own = (
        replace(each, video_id=f"video-of-{payee_id}") if each.video_id == OWN_VIDEO else each
        for each in lines or (line(),)
    )
    return PayeeBill(payee_id, currency, tuple(sorted(own, key=lambda each: each.order)))


def in_period(of: PayeeBill, period: Period) -> PayeeBill:
    """Return the same bill with lines about the days of a period; those that are not about all of October stay."""
    days = {"owned_from_on": period.start_on, "owned_to_on": period.end_on}
    lines = (
        replace(each, **days) if (each.owned_from_on, each.owned_to_on) == (OCTOBER.start_on, OCTOBER.end_on) else each
        for each in of.lines
    )
    return replace(of, lines=tuple(lines))
