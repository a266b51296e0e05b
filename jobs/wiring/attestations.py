"""Read the keys by which events are attested, and checked for it."""

from collections.abc import Mapping

from ingestion.attestation_keys import AttestationKeysError, attestation_keys
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.pipeline import ATTESTATION_KEYS_FILE


def read_attestation_keys(environ: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the keys by id, none where they are not set; raise CommandError(BAD_INPUT) if they cannot be used."""
    path = ATTESTATION_KEYS_FILE.read_if_set(environ)
    if path is None:
        return {}
    try:
        return attestation_keys(path.read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(
            f"{ATTESTATION_KEYS_FILE.name} cannot be read: {path} ({reason}); name a file that this process may read",
            ExitCode.BAD_INPUT,
        ) from error
    except AttestationKeysError as error:
        raise CommandError(f"{ATTESTATION_KEYS_FILE.name}: {error}", ExitCode.BAD_INPUT) from error
