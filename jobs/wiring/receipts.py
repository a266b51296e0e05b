"""Read the keys of receipts: what the collector signs with, and what a receipt is checked with."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.jwk_set import KeySetError
from ingestion.receipts import NO_RECEIPTS, ReadSigned, Receipts
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.pipeline import RECEIPT_KEYS_FILE, RECEIPTS
from jobs.wiring.key_files import keys_of_file, read_key_file, unusable

if TYPE_CHECKING:
    from ingestion.jwt_receipts import ReceiptKey


def read_receipts(environ: Mapping[str, str]) -> Receipts:
    """Return what the collector does about receipts; raise CommandError(BAD_INPUT) for keys that cannot be used."""
    are_for_all, keys = RECEIPTS.read(environ), read_key_file(RECEIPT_KEYS_FILE, environ, _parsed)
    if keys is None:
        if are_for_all:
            raise CommandError(
                f"{RECEIPTS.name} is 1 and {RECEIPT_KEYS_FILE.name} is not set, so nothing can sign; set the file of "
                "the keys",
                ExitCode.BAD_INPUT,
            )
        return NO_RECEIPTS
    from ingestion.jwt_receipts import receipts_by

    try:
        return receipts_by(keys, are_for_all=are_for_all)
    except KeySetError as error:
        raise unusable(RECEIPT_KEYS_FILE.name, error) from error


def read_signed_reader(environ: Mapping[str, str], file: Path | None) -> ReadSigned:
    """Return what checks the signatures of receipts: by the keys of a file, or of the setting if none is given."""
    keys = read_key_file(RECEIPT_KEYS_FILE, environ, _parsed) if file is None else keys_of_file("--keys", file, _parsed)
    if keys is None:
        raise CommandError(
            f"the keys of receipts are not known; give --keys FILE, or set {RECEIPT_KEYS_FILE.name}",
            ExitCode.BAD_INPUT,
        )
    from ingestion.jwt_receipts import signed_reader

    return signed_reader(keys)


def _parsed(text: bytes) -> "tuple[ReceiptKey, ...]":
    # imported here: it brings a library of cryptography, which a collector without keys does not need
    from ingestion.jwt_receipts import receipt_keys

    return receipt_keys(text)
