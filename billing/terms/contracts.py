"""Contracts: the price of a thousand views for each payee, by effective day and country. Integers only.

A contract is for the payees it names; the one that names none is for all others. Its rate cards follow each other by
day. Terms of a whole statement (tax, cap, minimum payout) come from the card of the period's last day.
"""

import functools
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from ingestion.contract.periods import Period

DEFAULT_COUNTRY = "*"
"""Matches every country without a rate of its own, and events without a country."""
UNKNOWN_COUNTRY = "ZZ"


@dataclass(frozen=True)
class StatementTerms:
    """The terms of a statement as a whole: those in force on the period's last day."""

    tax_country: str = "ZZ"
    """The country that tax is withheld for; `ZZ` if the payee has none."""
    tax_ppm: int = 0
    cap_micros: int | None = None
    """The most that a payee can earn in one period; None without a cap."""


class RateForm(StrEnum):
    """How the tiers of a rate apply to a payee's views under one heading in one period."""

    FLAT = "flat"
    GRADUATED = "graduated"
    """Each view has the rate of the tier that contains its number."""
    VOLUME = "volume"
    """All views have the rate of the tier that contains their total."""


class Tier(NamedTuple):
    """The last view that a rate applies to; None without an end, for the last tier."""

    up_to_views: int | None
    per_thousand_micros: int


@dataclass(frozen=True)
class Rate:
    """The rate under one heading of a card: tiers ascending; a flat rate has one."""

    form: RateForm
    tiers: tuple[Tier, ...]

    def tier_of(self, number: int) -> int:
        """Return the index of the tier that contains the view with a number (from 1)."""
        ends = (tier.up_to_views for tier in self.tiers)
        return next(index for index, end in enumerate(ends) if end is None or number <= end)

    def split(self, before: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Yield (tier index, start, end) for the next `count` views after `before` ones: slices of [0, count)."""
        start = 0
        while start < count:
            index = self.tier_of(before + start + 1)
            up_to = self.tiers[index].up_to_views
            end = count if up_to is None else min(count, up_to - before)
            yield index, start, end
            start = end


class AdRate(NamedTuple):
    """The income of a thousand views of an ad type, and the payees' part of it."""

    income_per_thousand_micros: int
    share_ppm: int

    @property
    def per_thousand_micros(self) -> int:
        """Return the payees' part; a whole number, as the reader of contracts has checked."""
        return self.income_per_thousand_micros * self.share_ppm // 1_000_000


@dataclass(frozen=True)
class RateCard:
    """Terms for event days from `effective_from_on` (inclusive) until the next card begins."""

    effective_from_on: date
    default: Rate
    by_country: Mapping[str, Rate]
    minimum_view_seconds: int | None = None
    """Stricter than the counting policy; None if the policy's minimum is enough."""
    ads: Mapping[str, AdRate] = field(default_factory=dict)
    tax_ppm: int = 0
    tax_ppm_by_country: Mapping[str, int] = field(default_factory=dict)
    cap_micros: int | None = None
    """The most that a payee earns in one period."""
    minimum_payout_micros: int = 0
    """A smaller balance is not paid out but carried forward."""

    def heading_of(self, country: str | None) -> str:
        """Return the country if it has a rate of its own, else `*`."""
        return country if country is not None and country in self.by_country else DEFAULT_COUNTRY

    def rate_under(self, heading: str) -> Rate:
        """Return the rate of a heading from `heading_of`."""
        return self.default if heading == DEFAULT_COUNTRY else self.by_country[heading]

    def ad_rate(self, ad_type: str) -> int | None:
        """Return the micros per 1,000 views of an ad type; None if the contract pays nothing for it."""
        rate = self.ads.get(ad_type)
        return None if rate is None else rate.per_thousand_micros

    def statement_terms(self, country: str | None) -> StatementTerms:
        """Return the card's terms for a whole statement of a payee in a country."""
        known = country or UNKNOWN_COUNTRY
        return StatementTerms(known, self.tax_ppm_by_country.get(known, self.tax_ppm), self.cap_micros)


@dataclass(frozen=True)
class Contract:
    """One contract: cards ascending by effective day, no two of the same day."""

    name: str
    payees: tuple[str, ...] | None
    """The payees it is for; None for everybody whom no other contract names."""
    cards: tuple[RateCard, ...]

    def card_on(self, day: date) -> RateCard | None:
        """Return the card in force on a day (UTC); None before the first."""
        index = bisect_right(self.cards, day, key=lambda card: card.effective_from_on)
        return self.cards[index - 1] if index else None

    def last_card_of(self, period: Period) -> RateCard | None:
        """Return the card in force on the period's last day."""
        return self.card_on(period.end_on - timedelta(days=1))

    def cards_in(self, period: Period) -> Iterator[tuple[RateCard, date, date]]:
        """Yield each card in force on some day of the period, with the days [from, to) of the period on which it is."""
        ends = [card.effective_from_on for card in self.cards[1:]] + [date.max]
        for card, end_on in zip(self.cards, ends, strict=True):
            from_on, to_on = max(card.effective_from_on, period.start_on), min(end_on, period.end_on)
            if from_on < to_on:
                yield card, from_on, to_on


@dataclass(frozen=True)
class Contracts:
    """One version of all contracts, in one currency; at most one of them is the default."""

    currency: str
    contracts: tuple[Contract, ...]

    @functools.cached_property
    def _index_by_payee(self) -> Mapping[str, int]:
        return {payee_id: index for index, contract in enumerate(self.contracts) for payee_id in contract.payees or ()}

    @functools.cached_property
    def _default_index(self) -> int | None:
        return next((index for index, contract in enumerate(self.contracts) if contract.payees is None), None)

    def index_for(self, payee_id: str) -> int | None:
        """Return the index of a payee's contract in `contracts`; None if no contract covers the payee."""
        return self._index_by_payee.get(payee_id, self._default_index)

    def contract_for(self, payee_id: str) -> Contract | None:
        """Return a payee's contract."""
        index = self.index_for(payee_id)
        return None if index is None else self.contracts[index]
