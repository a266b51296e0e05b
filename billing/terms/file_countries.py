"""Parse countries in files by the event contract's rule, and refuse unknown ones."""

import re

from ingestion.contract.countries import UNKNOWN_COUNTRY, country_of

COUNTRY_ALLOWED = "a code of ISO 3166, such as US or USA (UK and EL are taken for GB and GR)"


def country_in_file(text: str) -> str | None:
    """Return the two letters of the country in a text; None if it is not a country.

    A part of a country (`US-CA`) is refused here: its rate would become the whole country's.
    """
    country = country_of(text) if re.fullmatch("[A-Za-z]{2,3}", text, re.ASCII) else UNKNOWN_COUNTRY
    return None if country == UNKNOWN_COUNTRY else country
