"""The command line: finds a command's module, runs it, and turns every ending into an exit code and one sentence."""

import argparse
import importlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from types import FrameType
from typing import NoReturn, Protocol, cast

from ingestion.contract.printable import escaped
from ingestion.contract.unavailable import UnavailableError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import state_home

COMMANDS = {
    "demo": ("jobs.demo.command", "one small day through the whole pipeline, checked against the known truth"),
    "check": ("jobs.commands.check", "check format, lint and types"),
    "test": (
        "jobs.commands.test",
        "run the tests that the words name to pytest; without words check and run everything",
    ),
    "up": ("jobs.commands.up", "start the local stack and leave it running"),
    "down": ("jobs.commands.down", "stop the local stack"),
    "status": ("jobs.commands.status", "what of the local stack is running"),
    "doctor": ("jobs.commands.doctor", "check everything the pipeline needs and show how to fix it"),
    "topics": ("jobs.commands.topics", "create or check the Kafka topics"),
    "migrate": ("jobs.commands.migrate", "bring the PostgreSQL schema up to date"),
    "ingest": ("jobs.commands.ingest", "send a file of events, one JSON object a line"),
    "dead-letters": ("jobs.commands.dead_letters", "the rejected messages and why; send one again"),
    "batch": ("jobs.commands.batch", "run or inspect the batch layer"),
    "reconcile": ("jobs.commands.reconcile", "prove that archive, batch tables, served counts and ledger agree"),
    "audit": ("jobs.commands.audit", "find ids that are counted more than once, over all days"),
    "billing": ("jobs.commands.billing.command", "rate and post settled views of a period"),
    "faults": ("faults.command", "hurt real processes on purpose and compare every number with a model"),
    "attacks": ("attacks.command", "try what a stranger or an insider could, and name what any of it gains"),
    "rebuild": (
        "jobs.commands.rebuild",
        "count again what the speed or the batch layer counted, with the time it took",
    ),
    "keys": ("jobs.commands.keys", "make, list or revoke API keys for machines"),
    "token": ("jobs.commands.token", "issue a token for development, signed by the local stack"),
    "sql": ("jobs.commands.sql.command", "ask the tables of a published version by SQL"),
    "export": ("jobs.commands.export", "write tables of a published version as plain Parquet files"),
    "run": ("jobs.commands.run", "one process in the foreground: collector, speed, api or sql"),
}
"""Every command: the module with its `add_arguments` and `run`, imported only when it is asked for, and its help."""


class Command(Protocol):
    """What a command's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's flags."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Do the work; raises CommandError for everything the user can act on."""


def main(words: Sequence[str]) -> int:
    """Run one command line and returns the exit code; no stack trace ever reaches the terminal."""
    if not words or words[0] in ("help", "-h", "--help"):
        print(overview())
        return ExitCode.OK
    name, *rest = words
    if name not in COMMANDS:
        print(f"viewledger: unknown command {name!r}; ./viewledger help lists them", file=sys.stderr)
        return ExitCode.BAD_INPUT
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(name, rest)
    except CommandError as error:
        print(escaped(f"viewledger: {error}"), file=sys.stderr)
        return error.code
    except UnavailableError as error:
        print(escaped(f"viewledger: {error}"), file=sys.stderr)
        return ExitCode.UNAVAILABLE
    except KeyboardInterrupt:
        print("viewledger: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; nobody is there to tell
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001  the outermost handler: a user gets one sentence, the file gets the trace
        print(
            f"viewledger: unexpected error {type(error).__name__}; details in {_write_trace(words, error)}",
            file=sys.stderr,
        )
        return ExitCode.FAILED


def overview() -> str:
    """Return the list of commands."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{text}" for name, (_, text) in COMMANDS.items()]
    usage = "usage: ./viewledger COMMAND [flags]     ./viewledger COMMAND --help shows a command's flags"
    return "\n".join(
        ["viewledger counts video views so exactly that people are paid from the count.", "", usage, "", *lines]
    )


def _run(name: str, words: Sequence[str]) -> int:
    module_name, text = COMMANDS[name]
    command = cast(Command, importlib.import_module(module_name))
    parser = argparse.ArgumentParser(prog=f"./viewledger {name}", description=text[0].upper() + text[1:] + ".")
    command.add_arguments(parser)
    return int(command.run(parser.parse_args(words)))


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _write_trace(words: Sequence[str], error: BaseException) -> Path:
    """Write where it broke, for its owner alone: places in the code, and no value of a flag, a file or a table.

    A message of PostgreSQL or of an XML schema repeats the row or the file: names, accounts, tokens.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder = state_home() / "log"
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = mkstemp(dir=folder, prefix=f"error-{stamp}-", suffix=".txt")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join([" ".join(_without_values(words)), *_places(error)]) + "\n")
    return Path(path)


def _without_values(words: Sequence[str]) -> Iterator[str]:
    """Yield the command, its action and the names of its flags."""
    for index, word in enumerate(words):
        if index == 0 or word.startswith("--"):
            yield word.partition("=")[0]
        elif index == 1 and re.fullmatch(r"[a-z-]{1,30}", word):
            yield word


def _places(error: BaseException) -> Iterator[str]:
    """Yield the lines of the stack of an error and of what caused it, the cause first."""
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _places(cause)
        yield "which led to:"
    yield from (line.rstrip() for line in traceback.format_tb(error.__traceback__))
    yield f"{type(error).__module__}.{type(error).__qualname__}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
