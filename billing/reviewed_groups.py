"""Groups of traffic under review as a person sees them: what they would earn, and the evidence. Knows only ports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from billing.books.noted_groups import KeptGroups, NotedGroup
from billing.money import amount_text
from billing.ports import CatalogueStore, SettledViews
from billing.rating.stake import stakes
from ingestion.contract.traffic_groups import ReviewedGroup, TrafficGroup

EVIDENCE_MAX = 200
"""The most groups of which the evidence is counted: those with the most views. Senders decide how many there are."""
NOTED_MAX = 10_000
"""The most groups that are noted: those with the most views."""


@dataclass(frozen=True)
class MoneyAtStake:
    """What groups would earn, estimated: nothing is known without a catalogue and contracts."""

    currency: str | None = None
    by_group: Mapping[TrafficGroup, int | None] = field(default_factory=dict)

    def text(self, group: TrafficGroup) -> str:
        """Return the amount of a group for people; `-` if it is not known."""
        micros = self.by_group.get(group)
        return "-" if micros is None or self.currency is None else amount_text(micros, self.currency)


def money_at_stake(groups: Sequence[ReviewedGroup], catalogues: CatalogueStore) -> MoneyAtStake:
    """Return what the groups would earn under the catalogue and the contracts in force."""
    if not groups or (contracts := catalogues.newest_contracts()) is None:
        return MoneyAtStake()
    if (catalogue := catalogues.newest_catalogue()) is None:
        return MoneyAtStake()
    return MoneyAtStake(contracts[1].currency, stakes(groups, catalogue[1], contracts[1]))


def note_groups(
    views: SettledViews, groups: Sequence[ReviewedGroup], catalogues: CatalogueStore, kept: KeptGroups, now: datetime
) -> None:
    """Keep the groups of the version with their evidence, in place of what was noted before."""
    most_views_first = sorted(groups, key=lambda each: (-each.waiting_count, each.group))[:NOTED_MAX]
    evidence = views.group_evidence([each.group for each in most_views_first[:EVIDENCE_MAX]])
    money = money_at_stake(most_views_first, catalogues)
    found = [
        NotedGroup(
            each.group,
            each.waiting_count,
            each.video_count,
            each.points_most,
            money.by_group.get(each.group),
            money.currency,
            evidence.get(each.group),
        )
        for each in most_views_first
    ]
    kept.replace(found, batch_version=views.version.version, counted_at=now)
