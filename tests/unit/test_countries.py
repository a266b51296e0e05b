"""Which country a text names: one rule, since a country sets a price."""

import hashlib
import json
import random

import pycountry
import pytest

from ingestion.contract.countries import UNKNOWN_COUNTRY, country_by_code, country_of

SEED = 20261128
TABLE_HASH = "5bd79c46bf0f1ae165614ba76d3298b9c57bf98e150eba46dd277e6d2ebf6cff"


@pytest.mark.parametrize(
    ("text", "country"),
    [("US", "US"), ("us", "US"), ("uS", "US"), ("USA", "US"), ("deu", "DE"), ("UK", "GB"), ("el", "GR"),
     ("US-CA", "US"), ("us-ca", "US"), ("GB-ENG", "GB"), ("CHE", "CH")],
)  # fmt: skip
def test_a_country_is_known_by_its_codes_its_alias_and_its_places(text: str, country: str) -> None:
    assert country_of(text) == country


@pytest.mark.parametrize(
    "text",
    [None, "", "*", "ZZ", " US", "US ", "US\n", "XX", "XK", "EU", "AN", "YU", "840", "Germany", "US-XX", "DE-AT",
     "it-CH", "en-US", "US_CA", "ß", "ﬁ", "ﬁn", "ＵＳ", "U\0S", "u" * 64],
)  # fmt: skip
def test_whatever_names_no_country_is_unknown(text: str | None) -> None:
    assert country_of(text) == UNKNOWN_COUNTRY


def test_every_country_of_the_list_is_known_by_two_and_by_three_letters_in_any_case() -> None:
    for country in pycountry.countries:
        for code in (country.alpha_2, country.alpha_3):
            assert country_of(code) == country_of(code.lower()) == country_of(code.title()) == country.alpha_2, code


def test_no_text_at_all_gives_anything_but_a_listed_country_or_unknown() -> None:
    rng = random.Random(SEED)
    allowed = {country.alpha_2 for country in pycountry.countries} | {UNKNOWN_COUNTRY}
    alphabet = "AEGKLRSUZaeklsuz-_ *\0\n\u00df\u0131\u017f\u212a\ufb01\ud800"
    found = {country_of("".join(rng.choices(alphabet, k=rng.randrange(7)))) for _ in range(50_000)}
    assert found <= allowed, (SEED, found - allowed)
    assert len(found) > 20, "random texts meet known countries, too"


def test_another_list_is_noticed_because_it_gives_archived_events_another_country() -> None:
    listed = json.dumps(sorted(country_by_code().items()))
    assert hashlib.sha256(listed.encode()).hexdigest() == TABLE_HASH, "a new list is a new contract version"
