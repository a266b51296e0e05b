"""Rating: the settled views of a period, payee by payee → one bill per payee. Pure; one payee in memory at a time."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from billing.errors import EvidenceMismatchError
from billing.rating.attribution import Attribution
from billing.rating.rated_lines import ADS, VIEWS, PayeeBill, RatedLine
from billing.rating.view_chain import BILLABLE, is_counted
from billing.terms.contracts import Contract, Rate, RateCard, RateForm, StatementTerms
from billing.terms.suspense import SUSPENSE
from ingestion.contract.merkle import MerkleTree
from ingestion.contract.settled import SettledPiece


class GroupKey(NamedTuple):
    """The properties that the events of a group share; groups are rated in the order of their keys."""

    video_id: str
    owned_from_on: date
    effective_from_on: date
    country: str
    policy_version: int
    owned_to_on: date
    share_ppm: int


class Slice(NamedTuple):
    """The events [start, end) of a group that one tier pays, and their Merkle root."""

    tier_index: int
    start: int
    end: int
    root: str


@dataclass
class Group:
    """The events of one payee and video that share ownership interval, card, heading and policy."""

    key: GroupKey
    card: RateCard
    rate: Rate
    outcomes: Counter[str] = field(default_factory=Counter)
    ads: Counter[str] = field(default_factory=Counter)
    slices: list[Slice] = field(default_factory=list)
    """The billable events: one slice for each tier of a graduated rate, else one."""
    root: str = ""
    """Over all billable events, across tiers; lines for ads refer to it."""

    @property
    def heading(self) -> tuple[date, str]:
        """Return the card and the country, or `*`, that tiers are counted under."""
        return (self.key.effective_from_on, self.key.country)

    @property
    def billable_views(self) -> int:
        """Return how many events the group pays."""
        return self.slices[-1].end if self.slices else 0


class LeafCount:
    """Counts leaves without hashing them: the evidence of a bill that is never posted."""

    def __init__(self) -> None:
        self.leaf_count = 0

    def add(self, _: bytes) -> None:
        """Count one leaf."""
        self.leaf_count += 1

    def root(self) -> bytes:
        """Return no root."""
        return b""


def rate_period(
    pieces: Iterable[SettledPiece],
    attribution: Attribution,
    *,
    tree: type[MerkleTree] | type[LeafCount] = MerkleTree,
) -> Iterator[PayeeBill]:
    """Yield a bill for each payee whose videos received any event, by payee id; without lines if none is paid.

    `pieces` are those of `SettledViews.pieces` for the same attribution. Bills that are only compared or estimated
    take `LeafCount` as their tree: hashing every event takes most of the time, and nobody reads their roots.

    Raises:
        EvidenceMismatchError: the pieces are not in order, or events and counts differ.
    """
    before = ""
    for payee_id, of_payee in itertools.groupby(pieces, key=lambda piece: piece.payee_id):
        contract = attribution.contracts.contract_for(payee_id)
        if payee_id <= before or contract is None:
            raise EvidenceMismatchError(f"the views of payee {payee_id} are out of order or without a contract")
        before = payee_id
        groups = list(_groups(of_payee, contract, tree))
        lines = tuple(line for group in _at_volume_tiers(groups) for line in _lines(group))
        outcomes: Counter[str] = sum((group.outcomes for group in groups), Counter())
        terms = _terms(payee_id, contract, attribution)
        yield PayeeBill(payee_id, attribution.contracts.currency, lines, terms, dict(sorted(outcomes.items())))


def _terms(payee_id: str, contract: Contract, attribution: Attribution) -> StatementTerms:
    card = contract.last_card_of(attribution.period)
    if card is None:
        raise EvidenceMismatchError(f"payee {payee_id} has views under a card that begins after the period")
    if payee_id == SUSPENSE:
        return StatementTerms()  # tax and cap are those of the later owner
    return card.statement_terms(attribution.catalogue.payee_by_id[payee_id].country)


def _groups(
    of_payee: Iterable[SettledPiece], contract: Contract, tree: type[MerkleTree] | type[LeafCount]
) -> Iterator[Group]:
    """Yield a payee's groups in order; graduated tiers continue from group to group under each heading of a card."""
    cards = {card.effective_from_on: card for card in contract.cards}
    views_before: Counter[tuple[date, str]] = Counter()
    last: GroupKey | None = None
    for key, of_group in itertools.groupby(of_payee, key=_key_of):
        if last is not None and key <= last:
            raise EvidenceMismatchError(f"the views of video {key.video_id} are out of order")
        last, card = key, cards[key.effective_from_on]
        group = Group(key, card, card.rate_under(key.country))
        yield _gathered(group, of_group, views_before[group.heading], tree=tree)
        views_before[group.heading] += group.billable_views


def _key_of(piece: SettledPiece) -> GroupKey:
    return GroupKey(
        piece.video_id,
        piece.owned_from_on,
        piece.effective_from_on,
        piece.country,
        piece.policy_version,
        piece.owned_to_on,
        piece.share_ppm,
    )


def _gathered(
    group: Group,
    pieces: Iterable[SettledPiece],
    views_before: int,
    *,
    tree: type[MerkleTree] | type[LeafCount],
) -> Group:
    """Add up the pieces of a group and split its events where the next tier of a graduated rate begins."""
    rate, is_graduated = group.rate, group.rate.form is RateForm.GRADUATED
    trees: defaultdict[int, MerkleTree | LeafCount] = defaultdict(tree)
    whole = tree() if is_graduated and group.card.ads else None
    count, last = 0, ""
    for piece in pieces:
        group.outcomes.update(piece.outcomes)
        group.ads.update(piece.ads)
        leaves = _leaves(piece, last)
        last = piece.event_ids[-1] if leaves else last
        parts = rate.split(views_before + count, len(leaves)) if is_graduated else [(0, 0, len(leaves))]
        for tier_index, start, end in parts:
            part = trees[tier_index]
            for leaf in leaves[start:end]:
                part.add(leaf)
        if whole is not None:
            for leaf in leaves:
                whole.add(leaf)
        count += len(leaves)
    if count != group.outcomes[BILLABLE]:
        raise EvidenceMismatchError(
            f"payee {piece.payee_id}, video {group.key.video_id}, country {group.key.country}, rates from "
            f"{group.key.effective_from_on}: {group.outcomes[BILLABLE]} billable views but {count} billable events"
        )
    if count:
        start = 0
        for tier_index, part in trees.items():
            if part.leaf_count:
                group.slices.append(Slice(tier_index, start, start + part.leaf_count, part.root().hex()))
                start += part.leaf_count
        group.root = group.slices[0].root if whole is None else whole.root().hex()
    return group


def _leaves(piece: SettledPiece, last: str) -> list[bytes]:
    """Return the event ids of a piece as leaves, after checking that they are in order.

    An id can appear twice: a repeat on a day that is not compared with the first counts as another view.
    """
    ids = list(piece.event_ids)
    if ids != sorted(ids) or (ids and ids[0] < last):
        raise EvidenceMismatchError(f"the events of payee {piece.payee_id}, video {piece.video_id} are out of order")
    return [event_id.encode("ascii") for event_id in ids]


def _at_volume_tiers(groups: list[Group]) -> list[Group]:
    """Return the groups, those with a volume rate at the tier of the payee's total under their heading."""
    totals: Counter[tuple[date, str]] = Counter()
    for group in groups:
        totals[group.heading] += group.billable_views
    for group in groups:
        if group.rate.form is RateForm.VOLUME:
            tier_index = group.rate.tier_of(max(1, totals[group.heading]))
            group.slices = [each._replace(tier_index=tier_index) for each in group.slices]
    return groups


def _lines(group: Group) -> Iterator[RatedLine]:
    """Yield the lines of a group: its views by tier, then its ad views by type; none without billable views."""
    settled_views = sum(count for outcome, count in group.outcomes.items() if is_counted(outcome))
    for part in group.slices:
        rate_micros = group.rate.tiers[part.tier_index].per_thousand_micros
        yield _line(group, VIEWS, part, part.end - part.start, rate_micros, settled_views)
    for ad_type, quantity in sorted(group.ads.items()):
        ad_rate_micros = group.card.ad_rate(ad_type)
        if ad_rate_micros is not None and quantity:
            whole = Slice(0, 0, group.billable_views, group.root)
            yield _line(group, ADS + ad_type, whole, quantity, ad_rate_micros, settled_views)


def _line(group: Group, kind: str, part: Slice, quantity: int, rate_micros: int, settled_views: int) -> RatedLine:
    return RatedLine(
        video_id=group.key.video_id,
        owned_from_on=group.key.owned_from_on,
        owned_to_on=group.key.owned_to_on,
        share_ppm=group.key.share_ppm,
        effective_from_on=group.key.effective_from_on,
        country=group.key.country,
        policy_version=group.key.policy_version,
        kind=kind,
        tier_index=part.tier_index,
        event_start=part.start,
        event_end=part.end,
        quantity=quantity,
        rate_per_thousand_micros=rate_micros,
        settled_views=settled_views,
        evidence_root=part.root,
    )
