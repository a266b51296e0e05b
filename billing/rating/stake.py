"""Estimate what views under review would earn if they were released. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from billing.money import SHARE_WHOLE_PPM
from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from billing.terms.ownership import OwnerShare
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup

VIEWS_OF_A_RATE = 1_000


def stakes(
    groups: Iterable[ReviewedGroup], catalogue: Catalogue, contracts: Contracts
) -> Mapping[TrafficGroup, int | None]:
    """Return for each group the micros that all owners of its videos would earn by its views.

    It is an estimate: by the first tier of each rate, and without advertisements, a card's longer minimum, cap and tax.
    None where a video has no owner on the day, or an owner no rate.
    """
    groups = list(groups)
    wanted = {each.video_id for group in groups for each in group.waiting}
    shares: defaultdict[str, list[OwnerShare]] = defaultdict(list)
    for share in catalogue.owners:
        if share.video_id in wanted:
            shares[share.video_id].append(share)
    return {each.group: _stake(each, shares, contracts) for each in groups}


def _stake(group: ReviewedGroup, shares: Mapping[str, list[OwnerShare]], contracts: Contracts) -> int | None:
    day, parts = group.group.day, 0
    for each in group.waiting:
        owners = [share for share in shares.get(each.video_id, ()) if share.from_on <= day < share.to_on]
        rates = [_rate_of(share.payee_id, day, each.country, contracts) for share in owners]
        if not owners or None in rates:
            return None
        per_view = (rate * share.share_ppm for rate, share in zip(rates, owners, strict=True) if rate is not None)
        parts += each.view_count * sum(per_view)
    return parts // (VIEWS_OF_A_RATE * SHARE_WHOLE_PPM)


def _rate_of(payee_id: str, day: date, country: str | None, contracts: Contracts) -> int | None:
    """Return the micros per 1,000 views; None if no card pays the payee on the day."""
    contract = contracts.contract_for(payee_id)
    card = None if contract is None else contract.card_on(day)
    return None if card is None else card.rate_under(card.heading_of(country)).tiers[0].per_thousand_micros
