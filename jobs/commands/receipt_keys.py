"""`./viewledger receipts keys create`: make a key that signs receipts."""

import json
from pathlib import Path

from billing.file_regular import read_regular
from ingestion.contract.printable import counted
from ingestion.jwk_set import KeySetError
from ingestion.jwt_receipts import key_set_with_new, receipt_keys
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.profile import write_private


def create(*, key: Path, kid: str, as_json: bool) -> ExitCode:
    """Put a new key at the front of a file, which only its owner can read."""
    try:
        former = receipt_keys(read_regular(key)) if key.exists() else ()
        write_private(key, key_set_with_new(former, kid).decode())
    except KeySetError as error:
        raise CommandError(f"{key}: {error}", ExitCode.BAD_INPUT) from error
    except OSError as error:
        raise CommandError(
            f"{key} cannot be read or written ({error.strerror}); give another file", ExitCode.BAD_INPUT
        ) from error
    if as_json:
        print(json.dumps({"kid": kid, "file": str(key), "former_kids": [each.kid for each in former]}))
    else:
        kept = f"; the public half of {counted(len(former), 'former key')} stays" if former else ""
        print(f"the key {kid} signs receipts from the collector's next start on{kept}\nkeep {key} secret")
    return ExitCode.OK
