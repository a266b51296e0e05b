"""Map a text to a country: one rule for events, payees, contracts and taxes, since a country sets a price.

The codes are those of ISO 3166 as pycountry has them. They are read once, into a table.
"""

from collections.abc import Mapping
from functools import cache

UNKNOWN_COUNTRY = "ZZ"
"""Marks a country that is missing, or whose code is not known."""
ALIASES = {"UK": "GB", "EL": "GR"}
"""Aliases that are in use for a country's code; ISO 3166 reserves both for this purpose."""


def country_of(text: str | None) -> str:
    """Return the two capital letters of ISO 3166 for a country's text, or `ZZ`.

    Known are, in capitals or small letters: the two letters of a country (`us`), its three letters (`USA`), the two
    aliases, and the code of one of its subdivisions (`US-CA`), which is a place in that country. A subdivision in mixed
    letters is unknown: `it-CH` names a language (Italian in Switzerland), not a place in Italy. Unknown, too, are
    withdrawn codes, numbers, names, and a text with white space around it.
    """
    return country_by_code().get(text or "") or _country_of_other_case(text or "")


def _country_of_other_case(text: str) -> str:
    # ASCII alone: the capitals of ß are SS, which is South Sudan
    if not text.isascii() or ("-" in text and not text.islower()):
        return UNKNOWN_COUNTRY
    return country_by_code().get(text.upper(), UNKNOWN_COUNTRY)


@cache
def country_by_code() -> Mapping[str, str]:
    """Return the table: code in capitals → country.

    A change of this table may change the country of archived events: it needs a new contract version.
    """
    # imported here: a command that decodes no event need not wait until the list is read
    import pycountry

    found = {each.code: each.country_code for each in pycountry.subdivisions}
    for country in pycountry.countries:
        found |= {country.alpha_2: country.alpha_2, country.alpha_3: country.alpha_2}
    return found | ALIASES
