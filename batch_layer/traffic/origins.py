"""Where views come from, as a plain model: from networks that nobody else uses.

An audience may come from one town, one page, one device or one country: that is never a reason. A network that nobody
else uses is one only where the same countries' views come from networks that others use too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from batch_layer.traffic.crowds import MILLION
from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.findings import Finding
from batch_layer.traffic.one_viewer import found
from ingestion.contract.traffic_policy import INVALID_POINTS, STRONG_HINT_POINTS, TrafficPolicy
from ingestion.contract.traffic_reasons import DayReason

LONELY_VIEWS_MAX = 3
"""A network that nobody else uses, and not for long."""


def findings(events: Sequence[DayEvent], policy: TrafficPolicy) -> Iterator[Finding]:
    """Yield the views of payees that have far more such networks than is expected of the countries they come from."""
    viewers: dict[str, set[str | None]] = defaultdict(set)
    views = Counter(each.network for each in events)
    known = [each for each in events if each.network is not None and each.country is not None]
    for event in events:
        if event.network is not None:
            viewers[event.network].add(event.user_id)
    lonely = {network for network, mine in viewers.items()
              if len(mine) == 1 and None not in mine and views[network] <= LONELY_VIEWS_MAX}  # fmt: skip
    of_country = Counter(each.country for each in known)
    lonely_of_country = Counter(each.country for each in known if each.network in lonely)
    usual = {country: lonely_of_country[country] * MILLION // of_country[country] for country in of_country}
    of_payee: dict[str, list[DayEvent]] = defaultdict(list)
    for event in known:
        if event.payee_id is not None:
            of_payee[event.payee_id].append(event)
    for mine in of_payee.values():
        alone = [each for each in mine if each.network in lonely]
        expected = sum(usual[each.country] for each in mine)
        for least, ratio, points in (
            (policy.lonely_least_invalid, policy.lonely_ratio_invalid, INVALID_POINTS),
            (policy.lonely_least_review, policy.lonely_ratio_review, STRONG_HINT_POINTS),
        ):
            if len(alone) >= least and len(alone) * MILLION >= ratio * expected:
                yield from found(alone, DayReason.NETWORKS_SEEN_ONCE, points)
                break
