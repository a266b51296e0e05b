"""The entry of the command line: every error of a command becomes an exit code and one sentence.

Of this project it imports only what needs no set-up, so that the overview can be printed before there is one.
"""

import os
import platform
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from tempfile import mkstemp
from types import FrameType
from typing import NoReturn

from ingestion.contract.printable import escaped
from ingestion.contract.unavailable import UnavailableError
from jobs.command_line.overview import overview
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.own_environment import asked_for_completion
from jobs.settings.release import release
from jobs.settings.state_home import state_home


def main(words: Sequence[str]) -> int:
    """Run one command line and return the exit code; no stack trace ever reaches the terminal."""
    asked_by = asked_for_completion()
    if not asked_by and " ".join(words) in ("", "help", "-h", "--help"):
        print(overview())
        return ExitCode.OK
    if list(words) == ["--version"]:
        print(version())
        return ExitCode.OK
    if words and words[0] == "help":
        words = [*words[1:], "--help"]
    signal.signal(signal.SIGTERM, _interrupt)
    # redis loads this where it is installed, a tenth of a second of each start; only the part for traces is used here
    sys.modules["opentelemetry.sdk.metrics"] = None  # type: ignore[assignment]
    try:
        from jobs.command_line.words import complete, run  # with click, which is there when set-up is done

        return complete(asked_by) if asked_by else run(words)
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


def version() -> str:
    """Return the name and version of this release, and of the Python that runs it."""
    return f"viewledger {release()} (Python {platform.python_version()})"


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _write_trace(words: Sequence[str], error: BaseException) -> Path:
    """Write the stack trace to a file for its owner alone: places in the code, no values of flags, files or tables.

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
    """Yield the command, its verbs and the names of its flags."""
    depth = 4 if words[0] == "billing" else 2
    verbs = takewhile(re.compile(r"[a-z-]{1,30}").fullmatch, words[:depth])
    yield from (word for index, word in enumerate(verbs) if index == 0 or not word.startswith("-"))
    yield from (word.partition("=")[0] for word in words[1:] if word.startswith("--"))


def _places(error: BaseException) -> Iterator[str]:
    """Yield the lines of the stack of an error and of its causes, the first cause first."""
    cause = error.__cause__ or error.__context__
    if cause is not None:
        yield from _places(cause)
        yield "which led to:"
    yield from (line.rstrip() for line in traceback.format_tb(error.__traceback__))
    yield f"{type(error).__module__}.{type(error).__qualname__}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
