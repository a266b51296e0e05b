"""The prompt of `./viewledger sql`: statements over several lines until a semicolon, with a history."""

import contextlib
import os
import readline
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from jobs.commands.sql.statements import TypedStatements
from jobs.errors import CommandError

HISTORY_LINES_MAX = 2000
HELP = r"""A statement ends with a semicolon and may have several lines. Ctrl-C drops it, Ctrl-D leaves.
  \d          the tables                \d TABLE    the columns of a table
  \q          leave                     \?          this text
USE v3;       reads version 3 from then on; USE current; follows what is published."""


def prompt(answer: Callable[[str], None], history: Path) -> None:
    """Read a statement, answer it, and repeat until the user leaves; an error is printed and changes nothing."""
    with _history(history):
        reader = TypedStatements()
        while (line := _line("sql> " if reader.is_between else "...> ")) is not None:
            if line == INTERRUPTED:
                reader = TypedStatements()
            elif reader.is_between and line.strip().startswith("\\"):
                reader.rest()
                if not _shortcut(line.strip(), answer):
                    return
            else:
                for statement in reader.feed(line + "\n"):
                    _tried(answer, statement)


INTERRUPTED = "\x03"


def _line(text: str) -> str | None:
    try:
        return input(text)
    except EOFError:
        print()
        return None
    except KeyboardInterrupt:
        print()
        return INTERRUPTED


def _shortcut(line: str, answer: Callable[[str], None]) -> bool:
    """Run a line that begins with a backslash; return False to leave."""
    word, _, name = line.rstrip(";").partition(" ")
    if word == "\\q":
        return False
    if word == "\\d":
        _tried(answer, f"DESCRIBE TABLE {name}" if name.strip() else "SHOW TABLES")
    else:
        print(HELP if word == "\\?" else f"there is no {word}; \\? shows what there is", file=sys.stderr)
    return True


def _tried(answer: Callable[[str], None], statement: str) -> None:
    try:
        answer(statement)
    except CommandError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)


@contextlib.contextmanager
def _history(path: Path) -> Iterator[None]:
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES_MAX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(path)
            os.chmod(path, 0o600)
