"""Read a set of keys from the file that a setting names."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from ingestion.jwk_set import KeySetError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.kinds import LocalPath

Keys = TypeVar("Keys")


def read_key_file(setting: LocalPath, environ: Mapping[str, str], parse: Callable[[bytes], Keys]) -> Keys | None:
    """Return the keys, None where the setting is not set; raise CommandError(BAD_INPUT) if they cannot be used."""
    path = setting.read_if_set(environ)
    if path is None:
        return None
    try:
        return parse(path.read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CommandError(
            f"{setting.name} cannot be read: {path} ({reason}); name a file that this process may read",
            ExitCode.BAD_INPUT,
        ) from error
    except KeySetError as error:
        raise unusable(setting, error) from error


def unusable(setting: LocalPath, error: KeySetError) -> CommandError:
    """Return the refusal of a set of keys that was read."""
    return CommandError(f"{setting.name}: {error}", ExitCode.BAD_INPUT)
