"""Which country a text names: the one rule for events, payees, contracts and taxes, since a country sets a price.

The codes are those of ISO 3166 as pycountry has them. They are read once: a country is looked up in a table.
"""

import pycountry

UNKNOWN_COUNTRY = "ZZ"
"""Stands for a country that was not named, or by no code that is known."""
ALIASES = {"UK": "GB", "EL": "GR"}
"""Codes that are written for a country and are not its own: both are reserved by ISO 3166 for just that."""


def country_of(text: str | None) -> str:
    """Return the two capital letters of ISO 3166 for the country that a text names, or `ZZ`.

    Known are, in capitals or small letters: the two letters of a country (`us`), its three letters (`USA`), the two
    aliases, and the code of one of its subdivisions (`US-CA`), which is a place in that country. A subdivision in mixed
    letters is unknown: `it-CH` is how a language is named (Italian in Switzerland) and no place in Italy. So are
    withdrawn codes, numbers, names, and a text with white space around it.
    """
    return _COUNTRY_BY_CODE.get(text or "") or _country_of_other_case(text or "")


def _country_of_other_case(text: str) -> str:
    # ASCII alone: the capitals of ß are SS, which is South Sudan
    if not text.isascii() or ("-" in text and not text.islower()):
        return UNKNOWN_COUNTRY
    return _COUNTRY_BY_CODE.get(text.upper(), UNKNOWN_COUNTRY)


def _table() -> dict[str, str]:
    found = {each.code: each.country_code for each in pycountry.subdivisions}
    for country in pycountry.countries:
        found |= {country.alpha_2: country.alpha_2, country.alpha_3: country.alpha_2}
    return found | ALIASES


_COUNTRY_BY_CODE = _table()
"""Code in capitals → country. Another content gives archived events another country: it is a new contract version."""
