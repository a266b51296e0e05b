"""Estimate what the views of one day earn a payee at least and at most, by the rates that statements use. Pure."""

from collections.abc import Iterable
from datetime import date

from billing.money import NANOMICROS, settle_line
from billing.terms.contracts import Contract, RateCard

DayViews = tuple[int, str | None, int]
"""The payee's share of some videos in parts per million, a country, and their views in it; a country that is None is
not known yet, so it may be any."""


def earned_bounds(
    contract: Contract, day: date, settled: Iterable[DayViews], live: Iterable[DayViews], at_least: int
) -> tuple[int, int] | None:
    """Return the micros that `at_least` of the settled billable views earn at least, and all views at most.

    Which of the settled views remain is not known, so at least counts the worst paid of them. Each view has the tier
    of its rate that pays least, or most. Where the contract has a cap, or its card a longer minimum than the policy, at
    least is 0: what other days earned, or how long was watched, decides. None: no card is in force.
    """
    card = contract.card_on(day)
    if card is None:
        return None
    least, most = list[tuple[int, int]](), 0
    for share_ppm, country, views in settled:
        lowest, highest = _micros_per_thousand(card, {card.heading_of(country)})
        least.append((lowest * share_ppm, views))
        most += highest * share_ppm * views
    for share_ppm, _, views in live:
        _, highest = _micros_per_thousand(card, {card.heading_of(None), *card.by_country})
        most += highest * share_ppm * views
    owed, left = 0, at_least
    for nanomicros, views in sorted(least):
        taken = min(left, views)
        owed, left = owed + nanomicros * taken, left - taken
    if card.minimum_view_seconds is not None or any(each.cap_micros is not None for each in contract.cards):
        owed = 0
    # a line can pay the remainder of the lines before it, too
    return settle_line(owed, 0)[0], settle_line(most, NANOMICROS - 1)[0]


def _micros_per_thousand(card: RateCard, headings: Iterable[str]) -> tuple[int, int]:
    """Return the lowest and the highest micros per 1,000 views of any tier under some headings."""
    micros = [tier.per_thousand_micros for heading in headings for tier in card.rate_under(heading).tiers]
    return min(micros), max(micros)
