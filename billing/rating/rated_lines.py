"""Rated lines and bills: the amount owed to one payee for a period, before and after rounding every line once. Pure."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from billing.money import settle_line, withheld
from billing.terms.contracts import StatementTerms
from ingestion.contract.periods import Period

EVENTS = "events"
"""The cause of a bill that no other cause changed: the counts."""
VIEWS = "views"
"""The kind of a line that pays for views."""
ADS = "ads:"
"""The prefix of the kind of a line that pays for ad views; the ad type follows."""


@dataclass(frozen=True, slots=True)
class RatedLine:
    """The views of one video, or the ad views during them, that share owner, rate, policy and tier.

    The views of one (video, ownership interval, rate card, heading, policy) are a *group*; its event ids in ascending
    order are numbered from 0. A line covers the events [event_start, event_end) of its group.
    """

    video_id: str
    owned_from_on: date
    """First day (UTC) of the ownership interval within the period."""
    owned_to_on: date
    """The day after the last such day; at most the period's end."""
    share_ppm: int
    """The payee's share of the video in parts per million."""
    effective_from_on: date
    """First day of the rate card that was applied."""
    country: str
    """The country whose rate it is, or `*` for the default rate."""
    policy_version: int
    kind: str
    """`views`, or `ads:` and the ad type."""
    tier_index: int
    """The tier of a graduated or volume rate, from 0; 0 for a flat rate."""
    event_start: int
    event_end: int
    quantity: int
    """The number of paid views or ad views; for views the number of events."""
    rate_per_thousand_micros: int
    settled_views: int
    """All counted views of the group, billable or not."""
    evidence_root: str
    """Merkle root over exactly the events [event_start, event_end), 64 hex digits: their ids in ASCII, ascending."""

    @property
    def owed_nanomicros(self) -> int:
        """Return the exact value: micros per 1,000 x quantity x parts per million are nano-micros."""
        return self.rate_per_thousand_micros * self.quantity * self.share_ppm

    @property
    def order(self) -> tuple[str, date, date, str, int, bool, str, int]:
        """Return the place of the line on a bill; unique within it. Views come before ads."""
        place = (self.video_id, self.owned_from_on, self.effective_from_on, self.country, self.policy_version)
        return (*place, self.kind != VIEWS, self.kind, self.tier_index)


@dataclass(frozen=True, slots=True)
class SettledLine:
    """A rated line with its amount after the one rounding, and the remainder that is carried on from it."""

    line: RatedLine
    amount_micros: int
    carried_nanomicros: int


@dataclass(frozen=True)
class PayeeBill:
    """All rated lines of one payee in one period, in their order, before any rounding."""

    payee_id: str
    currency: str
    lines: tuple[RatedLine, ...]
    terms: StatementTerms = field(default_factory=StatementTerms)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Outcome → events of the payee's videos in the period; see `billing.rating.view_chain`."""
    cause: str = EVENTS
    """The cause by which this bill differs from the one `before` it."""
    before: "PayeeBill | None" = None
    """The bill without that cause; None if only that cause can differ from what was billed."""

    def __post_init__(self) -> None:
        orders = [line.order for line in self.lines]
        if any(first >= second for first, second in itertools.pairwise(orders)):
            raise ValueError(f"the bill of payee {self.payee_id} needs its lines each once and in order")

    @property
    def billable_views(self) -> int:
        """Return the number of views that its lines pay, regardless of shares."""
        return sum(line.quantity for line in self.lines if line.kind == VIEWS)

    def inputs_hash(self, period: Period) -> str:
        """Return the SHA-256 of everything the amount rests on."""
        terms = [self.terms.tax_country, self.terms.tax_ppm, self.terms.cap_micros]
        digest = hashlib.sha256(json.dumps([str(period), self.payee_id, self.currency, *terms]).encode())
        for line in self.lines:
            place = [line.video_id, line.owned_from_on.isoformat(), line.owned_to_on.isoformat(), line.share_ppm]
            heading = [line.effective_from_on.isoformat(), line.country, line.policy_version, line.kind]
            slice_ = [line.tier_index, line.event_start, line.event_end, line.quantity]
            rated = [line.rate_per_thousand_micros, line.evidence_root]
            digest.update(b"\n" + json.dumps(place + heading + slice_ + rated).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class SettledBill:
    """A bill in whole micro-units: Σ lines = over the cap + withheld tax + payable."""

    lines: tuple[SettledLine, ...]
    over_cap_micros: int
    tax_micros: int
    payable_micros: int
    carried_nanomicros: int
    """The remainder that is carried to the payee's next bill."""

    @property
    def earned_micros(self) -> int:
        """Return what the payee earned: payable and withheld tax, without the part over the cap."""
        return self.tax_micros + self.payable_micros


def change_by_cause(bill: PayeeBill, *, carried_nanomicros: int, before_micros: int) -> dict[str, int]:
    """Return cause → how much more (or less) the bill earns by it; the sum is its amount less `before_micros`."""
    changes: list[tuple[str, int]] = []
    now_micros, each = settle_bill(bill, carried_nanomicros).earned_micros, bill
    while each.before is not None:
        earlier_micros = settle_bill(each.before, carried_nanomicros).earned_micros
        changes.append((each.cause, now_micros - earlier_micros))
        now_micros, each = earlier_micros, each.before
    changes.append((each.cause, now_micros - before_micros))
    return {cause: micros for cause, micros in reversed(changes) if micros}


def settle_bill(bill: PayeeBill, carried_nanomicros: int) -> SettledBill:
    """Round each line down once; carry the remainder from line to line; subtract cap and tax from the sum.

    Σ line amounts × 10^9 + carried on = Σ rate × quantity × share + carried in, exactly. Tax is rounded down.
    """
    lines, total_micros = [], 0
    for line in bill.lines:
        amount_micros, carried_nanomicros = settle_line(line.owed_nanomicros, carried_nanomicros)
        lines.append(SettledLine(line, amount_micros, carried_nanomicros))
        total_micros += amount_micros
    cap_micros = bill.terms.cap_micros
    earned_micros = total_micros if cap_micros is None else min(total_micros, cap_micros)
    tax_micros = withheld(earned_micros, bill.terms.tax_ppm)
    return SettledBill(
        lines=tuple(lines),
        over_cap_micros=total_micros - earned_micros,
        tax_micros=tax_micros,
        payable_micros=earned_micros - tax_micros,
        carried_nanomicros=carried_nanomicros,
    )
