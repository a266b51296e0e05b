"""Reads the key that turns viewer ids into pseudonyms."""

from collections.abc import Callable, Mapping

from ingestion.pseudonym import pseudonym_key, pseudonym_of
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


def read_pseudonym_key(environ: Mapping[str, str]) -> bytes:
    """Read VIEWLEDGER_PSEUDONYM_KEY; the message of the error does not repeat it."""
    try:
        return pseudonym_key(settings.required(environ, "VIEWLEDGER_PSEUDONYM_KEY"))
    except ValueError as error:
        raise CommandError(f"VIEWLEDGER_PSEUDONYM_KEY: {error}", ExitCode.BAD_INPUT) from error


def pseudonymiser(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return what makes pseudonyms of viewer ids by VIEWLEDGER_PSEUDONYM_KEY."""
    key = read_pseudonym_key(environ)
    return lambda user_id: pseudonym_of(user_id, key)
