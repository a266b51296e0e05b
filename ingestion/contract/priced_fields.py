"""The fields of an event that set a price, as each version of the event contract reads them."""

from ingestion.contract.advertisements import counted_ad_types, type_of
from ingestion.contract.countries import UNKNOWN_COUNTRY, country_of
from ingestion.contract.event import ViewEvent
from ingestion.contract.event_contracts import OLDEST


def country_by(contract: int, event: ViewEvent) -> str:
    """Return the country whose rate a view earns; `ZZ` stands for none."""
    sent = event.geo_location
    if contract != OLDEST:
        return country_of(sent)
    if sent is None or len(sent) != 2 or not (sent.isascii() and sent.isalpha() and sent.isupper()):
        return UNKNOWN_COUNTRY
    return sent


def ad_types_by(contract: int, event: ViewEvent) -> list[str]:
    """Return the type of each advertisement that a view is paid for."""
    return [type_of(each) for each in event.ad_views or ()] if contract == OLDEST else counted_ad_types(event)


def is_country_unknown(event: ViewEvent) -> bool:
    """Return whether the text of an event's country is not a known country, so that its sender should learn of it."""
    sent = event.geo_location
    return country_of(sent) == UNKNOWN_COUNTRY and sent not in (None, "", UNKNOWN_COUNTRY)
