"""Read the key that turns viewer ids into pseudonyms."""

from collections.abc import Callable, Mapping

from ingestion.pseudonym import pseudonym_key, pseudonym_of
from jobs.settings.declared.pipeline import PSEUDONYM_KEY


def read_pseudonym_key(environ: Mapping[str, str]) -> bytes:
    """Return the key; the message of an error does not repeat it."""
    return pseudonym_key(PSEUDONYM_KEY.read(environ))


def pseudonymiser(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return the function that makes pseudonyms of viewer ids with VIEWLEDGER_PSEUDONYM_KEY."""
    key = read_pseudonym_key(environ)
    return lambda user_id: pseudonym_of(user_id, key)
