"""Attribute the views of a period to payees and terms; settled views are grouped by it to be rated."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from billing.money import SHARE_WHOLE_PPM
from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from billing.terms.ownership import OwnerShare
from billing.terms.suspense import SUSPENSE
from ingestion.contract.counting import VideoFacts
from ingestion.contract.periods import Period
from ingestion.contract.settled import CardDays, OwnedDays

NO_CONTRACT = -1


@dataclass(frozen=True)
class Attribution:
    """One catalogue version and one version of the contracts, restricted to a period.

    A view of a day belongs to each owner of a share of its video on that day, and for each of them falls under
    the card in force on that day and its own country's heading, else `*`. A billable view shorter than the card's
    minimum (or than the video, where that is shorter and known) becomes `below_minimum` for that payee. Views without
    an owner are rated by the default contract.
    """

    period: Period
    catalogue: Catalogue
    contracts: Contracts

    def owners(self) -> Iterator[OwnedDays]:
        """Yield every share that touches the period, cut to it, and the suspense share for days without an owner."""
        for share in self._shares():
            index = self.contracts.index_for(share.payee_id)
            yield OwnedDays(
                share.video_id,
                share.payee_id,
                share.share_ppm,
                share.from_on,
                share.to_on,
                NO_CONTRACT if index is None else index,
                self.catalogue.length_by_video.get(share.video_id),
            )

    def _shares(self) -> Iterator[OwnerShare]:
        owned: defaultdict[str, set[tuple[date, date]]] = defaultdict(set)
        for share in self.catalogue.owners_in(self.period):
            owned[share.video_id].add((share.from_on, share.to_on))
            yield share
        for video in self.catalogue.videos:
            for from_on, to_on in unowned(self.period, owned.get(video.video_id, ())):
                yield OwnerShare(video.video_id, from_on, to_on, SUSPENSE, SHARE_WHOLE_PPM)

    def facts(self) -> Iterator[tuple[str, VideoFacts]]:
        """Yield the facts that decide which views of a video are billable, for videos with any known fact."""
        yield from self.catalogue.counting_facts(self.period).items()

    def cards(self) -> Iterator[CardDays]:
        """Yield every card that is in force on some day of the period, cut to it."""
        for index, contract in enumerate(self.contracts.contracts):
            for card, from_on, to_on in contract.cards_in(self.period):
                countries = tuple(card.by_country)
                yield CardDays(index, card.effective_from_on, from_on, to_on, card.minimum_view_seconds, countries)


def unowned(period: Period, owned: Iterable[tuple[date, date]]) -> Iterator[tuple[date, date]]:
    """Yield the parts [from, to) of the period that no interval covers; intervals do not overlap, or are the same."""
    at = period.start_on
    for from_on, to_on in sorted(owned):
        if at < from_on:
            yield at, from_on
        at = max(at, to_on)
    if at < period.end_on:
        yield at, period.end_on
