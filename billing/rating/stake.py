"""Estimate what views would earn: those under review if they were released, and those that a policy moves. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from billing.money import SHARE_WHOLE_PPM
from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from billing.terms.ownership import OwnerShare
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup

VIEWS_OF_A_RATE = 1_000


@dataclass(frozen=True)
class Worth:
    """What views earn all owners of their video.

    It is an estimate: by the first tier of each rate, and without advertisements, a card's longer minimum, cap and tax.
    """

    shares: Mapping[str, Collection[OwnerShare]]
    """By video."""
    contracts: Contracts

    @classmethod
    def of(cls, catalogue: Catalogue, contracts: Contracts, videos: Collection[str] | None = None) -> "Worth":
        """Return it for some videos, or for all."""
        shares: defaultdict[str, list[OwnerShare]] = defaultdict(list)
        for share in catalogue.owners:
            if videos is None or share.video_id in videos:
                shares[share.video_id].append(share)
        return cls(shares, contracts)

    def parts_per_view(self, video_id: str, day: date, country: str | None) -> int | None:
        """Return what a view earns, in parts of which `micros_of` makes money; None without an owner or a rate."""
        owners = [share for share in self.shares.get(video_id, ()) if share.from_on <= day < share.to_on]
        rates = [_rate_of(share.payee_id, day, country, self.contracts) for share in owners]
        if not owners or None in rates:
            return None
        return sum(rate * share.share_ppm for rate, share in zip(rates, owners, strict=True) if rate is not None)


def micros_of(parts: int) -> int:
    """Return parts of many views together as money."""
    return parts // (VIEWS_OF_A_RATE * SHARE_WHOLE_PPM)


def stakes(
    groups: Iterable[ReviewedGroup], catalogue: Catalogue, contracts: Contracts
) -> Mapping[TrafficGroup, int | None]:
    """Return for each group the micros that all owners of its videos would earn by its views, estimated as `Worth`.

    None where a video has no owner on the day, or an owner no rate.
    """
    groups = list(groups)
    worth = Worth.of(catalogue, contracts, {each.video_id for group in groups for each in group.waiting})
    return {each.group: _stake(each, worth) for each in groups}


def _stake(group: ReviewedGroup, worth: Worth) -> int | None:
    parts = 0
    for each in group.waiting:
        per_view = worth.parts_per_view(each.video_id, group.group.day, each.country)
        if per_view is None:
            return None
        parts += each.view_count * per_view
    return micros_of(parts)


def _rate_of(payee_id: str, day: date, country: str | None, contracts: Contracts) -> int | None:
    """Return the micros per 1,000 views; None if no card pays the payee on the day."""
    contract = contracts.contract_for(payee_id)
    card = None if contract is None else contract.card_on(day)
    return None if card is None else card.rate_under(card.heading_of(country)).tiers[0].per_thousand_micros
