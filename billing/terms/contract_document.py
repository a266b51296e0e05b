"""Contracts as JSON values in one canonical form, for storing and comparing."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from billing.terms.contracts import AdRate, Contract, Contracts, Rate, RateCard, RateForm, Tier
from billing.terms.policies import document_hash


def contracts_from(document: Mapping[str, Any]) -> Contracts:
    """Build contracts from a document of `billing.terms.file_contracts`, after its checks, or of `document_of`."""
    return Contracts(document["currency"], tuple(_contract(each) for each in document["contracts"]))


def document_of(contracts: Contracts) -> dict[str, Any]:
    """Return the contracts as JSON values."""
    return {
        "currency": contracts.currency,
        "contracts": [
            {
                "name": contract.name,
                **({} if contract.payees is None else {"payees": list(contract.payees)}),
                "cards": [_card_document(card) for card in contract.cards],
            }
            for contract in contracts.contracts
        ],
    }


def content_hash(contracts: Contracts) -> str:
    """Return the SHA-256 of the canonical form: equal contracts give an equal hash."""
    return document_hash(document_of(contracts))


def _contract(document: Mapping[str, Any]) -> Contract:
    cards = sorted((_card(each) for each in document["cards"]), key=lambda card: card.effective_from_on)
    payees = document.get("payees")
    return Contract(document["name"], None if payees is None else tuple(sorted(payees)), tuple(cards))


def _card(document: Mapping[str, Any]) -> RateCard:
    rates = document["rate_per_thousand_micros"]
    ads = document.get("ad_income", {})
    tax = document.get("withholding_tax_ppm", {})
    return RateCard(
        effective_from_on=date.fromisoformat(document["effective_from_on"]),
        default=_rate(rates["default"]),
        by_country={country: _rate(rate) for country, rate in sorted(rates.get("by_country", {}).items())},
        minimum_view_seconds=document.get("minimum_view_seconds"),
        ads={name: AdRate(each["per_thousand_micros"], each["share_ppm"]) for name, each in sorted(ads.items())},
        tax_ppm=tax.get("default", 0),
        tax_ppm_by_country=dict(sorted(tax.get("by_country", {}).items())),
        cap_micros=document.get("cap_micros_per_period"),
        minimum_payout_micros=document.get("minimum_payout_micros", 0),
    )


def _rate(document: Any) -> Rate:
    if isinstance(document, int):
        return Rate(RateForm.FLAT, (Tier(None, document),))
    ((form, tiers),) = document.items()
    return Rate(RateForm(form), tuple(Tier(tier.get("up_to_views"), tier["per_thousand_micros"]) for tier in tiers))


def _card_document(card: RateCard) -> dict[str, Any]:
    optional = {
        "minimum_view_seconds": card.minimum_view_seconds,
        "ad_income": {
            name: {"per_thousand_micros": rate.income_per_thousand_micros, "share_ppm": rate.share_ppm}
            for name, rate in card.ads.items()
        },
        "withholding_tax_ppm": {"default": card.tax_ppm, "by_country": dict(card.tax_ppm_by_country)},
        "cap_micros_per_period": card.cap_micros,
        "minimum_payout_micros": card.minimum_payout_micros,
    }
    return {
        "effective_from_on": card.effective_from_on.isoformat(),
        "rate_per_thousand_micros": {
            "default": _rate_document(card.default),
            "by_country": {country: _rate_document(rate) for country, rate in card.by_country.items()},
        },
        **{name: value for name, value in optional.items() if value is not None},
    }


def _rate_document(rate: Rate) -> Any:
    if rate.form is RateForm.FLAT:
        return rate.tiers[0].per_thousand_micros
    tiers = (
        {
            **({} if tier.up_to_views is None else {"up_to_views": tier.up_to_views}),
            "per_thousand_micros": tier.per_thousand_micros,
        }
        for tier in rate.tiers
    )
    return {rate.form.value: list(tiers)}
