"""Read a set of keys from the file that a setting names."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from billing.file_regular import read_regular
from ingestion.jwk_set import KeySetError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.kinds import LocalPath

Keys = TypeVar("Keys")


def read_key_file(setting: LocalPath, environ: Mapping[str, str], parse: Callable[[bytes], Keys]) -> Keys | None:
    """Return the keys, None where the setting is not set; raise CommandError(BAD_INPUT) if they cannot be used."""
    path = setting.read_if_set(environ)
    return None if path is None else keys_of_file(setting.name, path, parse)


def keys_of_file(name: str, path: Path, parse: Callable[[bytes], Keys]) -> Keys:
    """Return the keys of a file that a setting or a flag names; raise CommandError(BAD_INPUT) as above."""
    try:
        return parse(read_regular(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(
            f"{name} cannot be read: {path} ({reason}); name a file that this process may read", ExitCode.BAD_INPUT
        ) from error
    except KeySetError as error:
        raise unusable(name, error) from error


def unusable(name: str, error: KeySetError) -> CommandError:
    """Return the refusal of a set of keys that was read."""
    return CommandError(f"{name}: {error}", ExitCode.BAD_INPUT)
