"""Read contract files (YAML), checked by billing/terms/contract_schema.json and rules beyond a schema."""

import json
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from billing.money import SHARE_WHOLE_PPM
from billing.terms.contract_document import contracts_from
from billing.terms.contracts import Contracts
from billing.terms.currency import CURRENCIES
from billing.terms.file_countries import COUNTRY_ALLOWED, country_in_file
from billing.terms.file_csv import NEAREST_LOOKED_FOR
from billing.terms.file_yaml import Place, name_of, read_checked, strict_validator
from billing.terms.nearest import nearest_sentence
from ingestion.contract.event import SHORT_TEXT_LENGTH_MAX
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.printable import is_name
from ingestion.contract.requests import FileRefusedError

SCHEMA_FILE = Path(__file__).with_name("contract_schema.json")
_VALIDATOR = strict_validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))

Problem = tuple[Place, str]


def read_contracts(
    file: Path, policies: tuple[CountingPolicy, ...], *, payees: Collection[str] | None = None
) -> Contracts:
    """Return the contracts of a file; if `payees` are given, every contract must be for one of them.

    Raises:
        FileRefusedError: names every problem.
    """
    document, lines = read_checked(file, _VALIDATOR)
    found = [
        *_currency(document),
        *_names(document),
        *_selectors(document),
        *(problem for place, card in _cards(document) for problem in _in_card(place, card, policies)),
        *_same_days(document),
        *(() if payees is None else _unknown_payees(document, payees)),
        *_countries(document),
    ]
    if found:
        raise FileRefusedError([f"{file}, line {lines[place]}, {name_of(place)}: {text}" for place, text in found])
    return contracts_from(document)


def _currency(document: Any) -> Iterator[Problem]:
    if document["currency"] not in CURRENCIES:
        yield ("currency",), f"{document['currency']!r} is not a currency; allowed: a code of ISO 4217, such as USD"


def _names(document: Any) -> Iterator[Problem]:
    for index, contract in enumerate(document["contracts"]):
        if not is_name(contract["name"], most=100):
            text = f"{contract['name']!r} is not a name; allowed: 1 to 100 printable characters"
            yield ("contracts", index, "name"), text
    for place, card in _cards(document):
        for ad_type in card.get("ad_income", {}):
            if not is_name(ad_type, most=SHORT_TEXT_LENGTH_MAX):
                text = f"not a type of advertisement; allowed: 1 to {SHORT_TEXT_LENGTH_MAX} printable characters"
                yield (*place, "ad_income", ad_type), text


def _countries(document: Any) -> Iterator[Problem]:
    """Replace each country by its two letters of ISO 3166; yield a problem for unknown or repeated ones."""
    for place, card in _cards(document):
        for key in ("rate_per_thousand_micros", "withholding_tax_ppm"):
            named: dict[str, str] = {}
            by_country = card.get(key, {}).get("by_country", {})
            for text in list(by_country):
                at, country = (*place, key, "by_country", text), country_in_file(text)
                if country is None:
                    yield at, f"{text!r} is not a country; allowed: {COUNTRY_ALLOWED}"
                    continue
                if country in named:
                    yield at, f"{text!r} is the country of {named[country]!r} too; allowed: each country once"
                named[country] = text
                by_country[country] = by_country.pop(text)


def _selectors(document: Any) -> Iterator[Problem]:
    names: dict[str, int] = {}
    payees: dict[str, str] = {}
    default: str | None = None
    for index, contract in enumerate(document["contracts"]):
        place, name = ("contracts", index), contract["name"]
        if name in names:
            yield (*place, "name"), f"{name!r} is the name of contracts[{names[name]}] too; allowed: each name once"
        names.setdefault(name, index)
        if "payees" not in contract:
            if default is not None:
                yield place, f"contract {default!r} is for all other payees already; give one of the two `payees`"
            default = name
        for number, payee_id in enumerate(contract.get("payees", ())):
            if payee_id in payees:
                text = f"payee {payee_id} has the contract {payees[payee_id]!r} already; allowed: one contract a payee"
                yield (*place, "payees", number), text
            payees.setdefault(payee_id, name)


def _unknown_payees(document: Any, payees: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for a contract of an unknown payee: the intended payee would earn the default rate."""
    found = 0
    for index, contract in enumerate(document["contracts"]):
        for number, payee_id in enumerate(contract.get("payees", ())):
            if payee_id not in payees:
                found += 1
                allowed = nearest_sentence(payee_id, payees if found <= NEAREST_LOOKED_FOR else ())
                yield ("contracts", index, "payees", number), f"{payee_id!r} is not in the catalogue; {allowed}"


def _cards(document: Any) -> Iterator[tuple[Place, Any]]:
    for index, contract in enumerate(document["contracts"]):
        for number, card in enumerate(contract["cards"]):
            yield ("contracts", index, "cards", number), card


def _in_card(place: Place, card: Any, policies: tuple[CountingPolicy, ...]) -> Iterator[Problem]:
    rates = card["rate_per_thousand_micros"]
    yield from _tiers((*place, "rate_per_thousand_micros", "default"), rates["default"])
    for country, rate in rates.get("by_country", {}).items():
        yield from _tiers((*place, "rate_per_thousand_micros", "by_country", country), rate)
    for ad_type, ad in card.get("ad_income", {}).items():
        if ad["per_thousand_micros"] * ad["share_ppm"] % SHARE_WHOLE_PPM:
            text = (
                f"{ad['per_thousand_micros']} x {ad['share_ppm']} parts per million is not a whole number of "
                "micro-units; allowed: figures whose product is one, so that nothing is rounded"
            )
            yield (*place, "ad_income", ad_type), text
    minimum = card.get("minimum_view_seconds")
    effective_on = date.fromisoformat(card["effective_from_on"])
    for policy in _policies_from(effective_on, policies):
        if minimum is not None and minimum < policy.minimum_view_seconds:
            text = (
                f"{minimum} is laxer than counting policy {policy.version} with its {policy.minimum_view_seconds} "
                "seconds; allowed: as many or more"
            )
            yield (*place, "minimum_view_seconds"), text


def _policies_from(day: date, policies: tuple[CountingPolicy, ...]) -> list[CountingPolicy]:
    """Return the counting policy in force on a day and all later ones."""
    ordered = sorted(policies, key=lambda policy: policy.effective_from_on)
    earlier = [policy for policy in ordered if policy.effective_from_on <= day]
    return earlier[-1:] + ordered[len(earlier) :]


def _tiers(place: Place, rate: Any) -> Iterator[Problem]:
    if isinstance(rate, int):
        return
    ((form, tiers),) = rate.items()
    before = 0
    for index, tier in enumerate(tiers):
        end = tier.get("up_to_views")
        if end is None and index < len(tiers) - 1:
            yield (*place, form, index), "only the last tier has no up_to_views; give the view that it ends with"
        elif end is not None and index == len(tiers) - 1:
            yield (*place, form, index), "the last tier has no end; leave its up_to_views out"
        elif end is not None and end <= before:
            yield (*place, form, index, "up_to_views"), f"{end} is not above {before}, where the tier before it ends"
        before = end or before


def _same_days(document: Any) -> Iterator[Problem]:
    first: dict[tuple[int | str, str], int | str] = {}
    for place, card in _cards(document):
        day = card["effective_from_on"]
        key = (place[1], day)
        if key in first:
            yield (
                (*place, "effective_from_on"),
                f"{day} is the first day of cards[{first[key]}] too; allowed: each day once",
            )
        first.setdefault(key, place[3])
