"""Remarks: what a billing run leaves out or assumes and a person should know. None of them stops anything. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from billing.terms.catalogue import Catalogue
from billing.terms.contracts import Contracts
from billing.terms.ownership import OwnerShare
from billing.terms.suspense import SUSPENSE
from ingestion.contract.periods import Period
from ingestion.contract.settled import UnplacedViews

SHOWN_MAX = 5
WHOLE_PERCENT_PPM = 10_000


@dataclass
class Unbilled:
    """Billable views that no statement pays, in sums; memory does not grow with the number of invented ids."""

    unknown_views: int = 0
    """Of ids that are not in the catalogue."""
    unknown_count: int = 0
    """How many such ids."""
    unknown_shown: list[str] = field(default_factory=list)
    unrated: Counter[str] = field(default_factory=Counter)
    """Payee of the catalogue without a rate on their day → billable views."""
    unrated_from_on: date = date.max
    """The first day of those."""


def unbilled_of(unplaced: Iterable[UnplacedViews]) -> Unbilled:
    """Return the sums; a video comes once for each of its payees, or once without any."""
    found = Unbilled()
    for each in unplaced:
        if each.payee_id is None:
            found.unknown_views += each.billable_views
            found.unknown_count += 1
            if len(found.unknown_shown) < SHOWN_MAX:
                found.unknown_shown.append(each.video_id)
        else:
            found.unrated[each.payee_id] += each.billable_views
            found.unrated_from_on = min(found.unrated_from_on, each.first_on)
    return found


@dataclass(frozen=True)
class Remarks:
    """All remarks that a run found."""

    unbilled: Unbilled = field(default_factory=Unbilled)
    uncounted: Mapping[str, int] = field(default_factory=dict)
    """`late_review`, `conflict` → events of the period, decided or not."""
    recatalogued: Collection[str] = ()
    """Videos whose length or owner's viewer id differed when their views were judged."""
    newer_terms: Sequence[str] = ()
    """The changes of newer terms against those that the period was billed by, in sentences."""

    def sentences(self) -> list[str]:
        """Return them in sentences, each with its remedy."""
        return [*self._unknown(), *self._unrated(), *self._uncounted(), *self._recatalogued(), *self.newer_terms]

    def _unknown(self) -> list[str]:
        found = self.unbilled
        if not found.unknown_count:
            return []
        return [
            f"unknown: {found.unknown_views} billable {_many('view', found.unknown_views)} of {found.unknown_count} "
            f"{_many('id', found.unknown_count)} that no video of the catalogue has "
            f"({_shown(found.unknown_shown, found.unknown_count)}); they are paid to nobody. A video that is missing "
            "in the catalogue is imported, and the period restated with `--catalogue`"
        ]

    def _unrated(self) -> list[str]:
        unrated = self.unbilled.unrated
        if not unrated:
            return []
        count, total = len(unrated), unrated.total()
        return [
            f"unrated: {total} billable {_many('view', total)} of {count} {_many('payee', count)} "
            f"({_shown(sorted(unrated)[:SHOWN_MAX], count)}) have no rate and are not billed yet; import contracts "
            f"that are for {'it' if count == 1 else 'them'}, with a card that begins on "
            f"{self.unbilled.unrated_from_on.isoformat()} or earlier, and restate the period with `--contract`"
        ]

    def _uncounted(self) -> list[str]:
        commands = (("late_review", "came too late", "late"), ("conflict", "came with two contents", "conflicts"))
        return [
            f"{kind}: {count} {_many('event', count)} of the period {reason} and {'is' if count == 1 else 'are'} not "
            f"counted; `billing {command}` says what was decided"
            for kind, reason, command in commands
            if (count := self.uncounted.get(kind, 0))
        ]

    def _recatalogued(self) -> list[str]:
        count = len(self.recatalogued)
        if not count:
            return []
        return [
            f"catalogue: {count} {_many('video', count)} ({_shown(sorted(self.recatalogued)[:SHOWN_MAX], count)}) had "
            "another length or owner's viewer id when the views were counted; they are paid as they were counted. A "
            "day is judged again when events of it arrive"
        ]


def moved_shares(period: Period, before: Catalogue, now: Catalogue) -> dict[str, str]:
    """Return video → its old and new owners with their shares, for the videos whose owners in the period differ."""
    old, new = _owners(period, before), _owners(period, now)
    return {
        video_id: f"{_text(old.get(video_id, []))} → {_text(new.get(video_id, []))}"
        for video_id in sorted(old.keys() | new.keys())
        if old.get(video_id) != new.get(video_id)
    }


def moved_sentence(moved: Mapping[str, str], period: Period, *, version: int, newer: int) -> str:
    """Return what a newer catalogue changes in a billed period, and the command that applies it."""
    shown = "; ".join(f"{video_id}: {moved[video_id]}" for video_id in sorted(moved)[:SHOWN_MAX])
    more = f" and {len(moved) - SHOWN_MAX} more" if len(moved) > SHOWN_MAX else ""
    count = len(moved)
    return (
        f"moved: catalogue version {newer} has other owners of {count} {_many('video', count)} in period {period} "
        f"({shown}{more}) than version {version}, by which the period was billed; what was billed changes for old and "
        f"new owners together or not at all, by `billing restate --period {period} --catalogue {newer} --cause TEXT`"
    )


def other_terms(period: Period, before: Contracts, now: Contracts) -> bool:
    """Return whether two versions of the contracts differ in anything that concerns a period."""
    return _terms_in(period, before) != _terms_in(period, now)


def contract_sentence(period: Period, *, version: int, newer: int) -> str:
    """Return that newer contracts have other terms for a billed period, and the command that applies them."""
    return (
        f"terms: contract version {newer} has other terms for period {period} than version {version}, by which it was "
        f"billed; `billing restate --period {period} --contract {newer} --cause TEXT` goes by them"
    )


def _terms_in(period: Period, contracts: Contracts) -> object:
    found = ((each.payees, tuple(each.cards_in(period)), each.last_card_of(period)) for each in contracts.contracts)
    return contracts.currency, sorted(found, key=lambda each: (each[0] is not None, each[0] or ()))


def _owners(period: Period, catalogue: Catalogue) -> dict[str, list[OwnerShare]]:
    found: dict[str, list[OwnerShare]] = {video.video_id: [] for video in catalogue.videos}
    for share in catalogue.owners_in(period):
        found[share.video_id].append(share)
    return found


def _text(shares: Sequence[OwnerShare]) -> str:
    parts = (
        f"{each.payee_id} {each.share_ppm / WHOLE_PERCENT_PPM:g} %"
        + (f" on {each.from_on}/{each.to_on}" if len({(one.from_on, one.to_on) for one in shares}) > 1 else "")
        for each in shares
    )
    return ", ".join(parts) or SUSPENSE


def _many(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"


def _shown(names: Sequence[str], count: int) -> str:
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
