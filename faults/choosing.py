"""The common start of the fault and attack commands: choose scenes by name, and a folder."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.stack_in_use import is_running
from jobs.settings.state_home import state_home


def chosen(words: Sequence[str], names: Iterable[str], what: str) -> list[str]:
    """Return the names that begin with one of the words; all names without words. `what` is the noun for messages.

    Raises:
        CommandError: no name begins with a word.
    """
    known = list(names)
    unknown = [word for word in words if not any(name.startswith(word) for name in known)]
    if unknown:
        raise CommandError(
            f"no {what} is called {', '.join(unknown)}; ./viewledger {what}s --list shows all {len(known)}",
            ExitCode.BAD_INPUT,
        )
    return [name for name in known if not words or any(name.startswith(word) for word in words)]


def listing(sentences: Mapping[str, str], *, as_json: bool) -> str:
    """Return every name with its sentence, as lines or as one JSON document."""
    if as_json:
        return json.dumps(sentences, indent=1)
    return "\n".join(f"{name:<36}{text}" for name, text in sentences.items())


def fresh_folder(command: str, *stacks: str) -> Path:
    """Return the empty folder of a call of a command, which must be the only one; its logs stay until the next call.

    `stacks` are the folders in it in which servers may run.

    Raises:
        CommandError: another call is at work.
    """
    folder = state_home() / command
    if any(is_running(folder / stack) for stack in stacks):
        raise CommandError(f"another ./viewledger {command} is at work; wait for it to end", ExitCode.UNAVAILABLE)
    shutil.rmtree(folder, ignore_errors=True)
    return folder
