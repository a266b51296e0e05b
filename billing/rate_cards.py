"""Rate cards: what a thousand billable views are worth, by effective day and country. Integers only."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

DEFAULT_COUNTRY = "*"
"""Stands for every country without a rate of its own, and for events that name none."""


@dataclass(frozen=True)
class Rate:
    """The rate for one view, and under which heading of which card it was found."""

    effective_from_on: date
    country: str
    per_thousand_micros: int


@dataclass(frozen=True)
class RateCard:
    """Rates for event days from `effective_from_on` (inclusive) until the next card begins."""

    effective_from_on: date
    default_per_thousand_micros: int
    per_thousand_micros_by_country: Mapping[str, int]

    def rate_for(self, country: str | None) -> Rate:
        """Return the country's own rate, else the default under the country `*`."""
        own = self.per_thousand_micros_by_country.get(country) if country is not None else None
        if country is None or own is None:
            return Rate(self.effective_from_on, DEFAULT_COUNTRY, self.default_per_thousand_micros)
        return Rate(self.effective_from_on, country, own)


@dataclass(frozen=True)
class RateContract:
    """One version of the agreed rates: one currency, cards ascending by effective day, no two of the same day."""

    currency: str
    cards: tuple[RateCard, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "RateContract":
        """Build from a document that passed the schema of `billing.file_rate_cards`, or from `to_document`."""
        cards = (
            RateCard(
                date.fromisoformat(card["effective_from_on"]),
                card["rate_per_thousand_micros"]["default"],
                dict(sorted(card["rate_per_thousand_micros"].get("by_country", {}).items())),
            )
            for card in document["rate_cards"]
        )
        return cls(document["currency"], tuple(sorted(cards, key=lambda card: card.effective_from_on)))

    def to_document(self) -> dict[str, Any]:
        """Return the contract as JSON values in one canonical form."""
        cards = [
            {
                "effective_from_on": card.effective_from_on.isoformat(),
                "rate_per_thousand_micros": {
                    "default": card.default_per_thousand_micros,
                    "by_country": dict(card.per_thousand_micros_by_country),
                },
            }
            for card in self.cards
        ]
        return {"currency": self.currency, "rate_cards": cards}

    def content_hash(self) -> str:
        """Return the SHA-256 of the canonical form: equal rates give an equal hash."""
        return hashlib.sha256(json.dumps(self.to_document(), sort_keys=True).encode()).hexdigest()

    def rate_on(self, day: date, country: str | None) -> Rate | None:
        """Return the rate of a view on an event day (UTC) from a country; None before the first card."""
        index = bisect_right(self.cards, day, key=lambda card: card.effective_from_on)
        return self.cards[index - 1].rate_for(country) if index else None
