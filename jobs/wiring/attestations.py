"""Read the keys by which events are attested, and checked for it."""

from collections.abc import Mapping
from datetime import datetime

from ingestion.attestation_keys import attestation_keys, revocation_instants, revoked_attestation_keys
from jobs.settings.declared.pipeline import ATTESTATION_KEYS_FILE
from jobs.wiring.key_files import read_key_file


def read_attestation_keys(environ: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the keys by id, none where they are not set; raise CommandError(BAD_INPUT) if they cannot be used."""
    return read_key_file(ATTESTATION_KEYS_FILE, environ, attestation_keys) or {}


def read_all_attestation_keys(
    environ: Mapping[str, str],
) -> tuple[Mapping[str, bytes], Mapping[str, bytes], Mapping[str, datetime]]:
    """Return the same, the keys that vouch for nothing new, and since when those of them were not to be trusted.

    All of one reading of the file; raise as above.
    """
    return read_key_file(
        ATTESTATION_KEYS_FILE,
        environ,
        lambda text: (attestation_keys(text), revoked_attestation_keys(text), revocation_instants(text)),
    ) or ({}, {}, {})
