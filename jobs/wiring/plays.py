"""Read the keys of plays: what the way in reads tokens with, and what the API signs them with."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingestion.contract.attestation import attested
from ingestion.contract.plays import PlaySigner
from ingestion.jwk_set import KeySetError
from ingestion.play_claims import Plays, as_it_is, no_key_known
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.pipeline import PLAY_AUDIENCE, PLAY_KEYS_FILE, PLAY_START_SECONDS, PLAYS_REQUIRED
from jobs.wiring.attestations import read_attestation_keys
from jobs.wiring.key_files import read_key_file, unusable
from jobs.wiring.pseudonyms import read_pseudonym_key

if TYPE_CHECKING:
    from ingestion.jwt_plays import PlayKey


def read_plays(environ: Mapping[str, str], *, are_required: bool = False, all_are_attested: bool = False) -> Plays:
    """Return what the way in does with plays; raise CommandError(BAD_INPUT) for keys that cannot be used."""
    attest = _attest(environ)
    keys = _keys(environ)
    if keys is None:
        if are_required:
            raise CommandError(
                f"{PLAYS_REQUIRED.name} is 1 and {PLAY_KEYS_FILE.name} is not set, so every event would be refused; "
                "set the file of the keys",
                ExitCode.BAD_INPUT,
            )
        return Plays(no_key_known, attest=attest, all_are_attested=all_are_attested)
    from ingestion.jwt_plays import play_reader

    return Plays(play_reader(keys, PLAY_AUDIENCE.read(environ)), are_required, attest, all_are_attested)


def _attest(environ: Mapping[str, str]) -> Callable[[bytes], bytes]:
    key_id, key = next(iter(read_attestation_keys(environ).items()), ("", b""))
    return (lambda value: attested(value, key_id, key)) if key else as_it_is


def read_play_signer(environ: Mapping[str, str]) -> PlaySigner | None:
    """Return what signs plays, None without keys; raise CommandError(BAD_INPUT) if none of the keys can sign."""
    keys = _keys(environ)
    if keys is None:
        return None
    from ingestion.jwt_plays import play_signer

    try:
        return play_signer(
            keys,
            read_pseudonym_key(environ),
            lambda: datetime.now(UTC),
            audience=PLAY_AUDIENCE.read(environ),
            start_seconds=PLAY_START_SECONDS.read(environ),
        )
    except KeySetError as error:
        raise unusable(PLAY_KEYS_FILE.name, error) from error


def _keys(environ: Mapping[str, str]) -> "tuple[PlayKey, ...] | None":
    return read_key_file(PLAY_KEYS_FILE, environ, _parsed)


def _parsed(text: bytes) -> "tuple[PlayKey, ...]":
    # imported here: it brings a library of cryptography, which a process without keys does not need
    from ingestion.jwt_plays import play_keys

    return play_keys(text)
