"""The keys that a backup needs and does not hold: their ids, and copies of them in a folder of their own."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from billing.proof.ed25519_keys import read_key
from ingestion.contract.keyed_hash import fingerprint
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import SIGNING_KEY
from jobs.settings.declared.pipeline import (
    ATTESTATION_KEYS_FILE,
    PLAY_KEYS_FILE,
    PSEUDONYM_KEY,
    RECEIPT_KEYS_FILE,
    TRAITS_KEY,
)
from jobs.settings.kinds import LocalPath, Text

SECRETS = (PSEUDONYM_KEY, TRAITS_KEY)
KEY_SETS = (PLAY_KEYS_FILE, ATTESTATION_KEYS_FILE, RECEIPT_KEYS_FILE)


def key_ids(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Return setting → the ids of its keys, for every key that these settings have; no id helps to find a key."""
    found = {each.name: _ids_of_secret(each, environ) for each in SECRETS if each.is_set(environ)}
    found |= {each.name: _ids_of_set(each, environ) for each in KEY_SETS if each.is_set(environ)}
    if (key := SIGNING_KEY.read_if_set(environ)) is not None:
        found[SIGNING_KEY.name] = [read_key(key).public_key]
    return found


def refuse_other_keys(needed: Mapping[str, Sequence[str]], environ: Mapping[str, str], installation_id: str) -> None:
    """Raise CommandError(BAD_INPUT) unless the settings have every key that a backup needs."""
    there = key_ids(environ)
    for name, ids in sorted(needed.items()):
        missing = [each for each in ids if each not in there.get(name, ())]
        if not missing:
            continue
        if name not in there:
            raise CommandError(f"{name} is not set; the backup needs its key {missing[0]}", ExitCode.BAD_INPUT)
        raise CommandError(
            f"the backup is of installation {installation_id}, whose {name} has the key {missing[0]}, and these "
            f"settings have {', '.join(there[name])}; restore with the settings of that installation",
            ExitCode.BAD_INPUT,
        )


def new_key_folder(folder: Path, place: Path) -> None:
    """Create the folder of the copies of the keys; it is not in the backup's place, and new or empty."""
    if folder.resolve().is_relative_to(place.resolve()):
        raise CommandError(
            f"--keys-to is {folder}, which is in the place of the backup; keep the keys apart", ExitCode.BAD_INPUT
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CommandError(f"{folder} is not empty; give a new or empty folder for the keys", ExitCode.BAD_INPUT)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written ({error.strerror})", ExitCode.BAD_INPUT) from error


def copy_keys(environ: Mapping[str, str], folder: Path) -> None:
    """Copy each key to a file with the name of its setting, which only its owner may read."""
    for each in SECRETS:
        if each.is_set(environ):
            _private(folder / each.name).write_text(each.read(environ) + "\n")
    for file in (*KEY_SETS, SIGNING_KEY):
        if (path := file.read_if_set(environ)) is not None:
            shutil.copyfile(path, _private(folder / file.name))


def _private(path: Path) -> Path:
    path.touch(mode=0o600)
    return path


def _ids_of_secret(setting: Text, environ: Mapping[str, str]) -> list[str]:
    return [fingerprint(bytes.fromhex(setting.read(environ)))]


def _ids_of_set(setting: LocalPath, environ: Mapping[str, str]) -> list[str]:
    path = setting.read(environ)
    try:
        return sorted(str(each["kid"]) for each in json.loads(path.read_bytes())["keys"])
    except OSError as error:
        raise CommandError(f"{setting.name}: {path} cannot be read ({error.strerror})", ExitCode.BAD_INPUT) from error
    except (ValueError, LookupError, TypeError) as error:
        raise CommandError(f"{setting.name}: {path} is not a JWK Set", ExitCode.BAD_INPUT) from error
