"""Run one step of the set-up: progress, a log file, a heartbeat, one sentence when it fails. Standard library only."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.child.process import bound_to_parent
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.machine import NO_COLOR
from jobs.settings.own_environment import own_environment

HEARTBEAT_SECONDS = 15.0


def say(text: str) -> None:
    """Print one progress line on stderr; bold on a terminal unless NO_COLOR is set."""
    plain = NO_COLOR.is_set(own_environment()) or not sys.stderr.isatty()
    print(f"set-up: {text}" if plain else f"\033[1mset-up:\033[0m {text}", file=sys.stderr, flush=True)


def run_step(
    what: str, command: Sequence[str], *, log: Path, remedy: str, environ: Mapping[str, str] | None = None
) -> None:
    """Run a command with its output in `log`; print from time to time that it still runs.

    Raises CommandError(SETUP_FAILED) with the last line that looks like the reason; the command is ended when this
    process is interrupted.
    """
    say(f"{what} …")
    started = reported = time.monotonic()
    with log.open("ab") as output:
        offset = output.tell()
        child = subprocess.Popen(  # ended below, whatever happens
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
            start_new_session=True,  # Ctrl-C reaches it through us, once
            preexec_fn=bound_to_parent(signal.SIGTERM),
        )
        try:
            while (code := _wait(child, 0.5)) is None:
                if time.monotonic() - reported >= HEARTBEAT_SECONDS:
                    reported = time.monotonic()
                    say(f"{what}: still working after {reported - started:.0f} s")
        finally:
            if child.poll() is None:
                child.terminate()
                if _wait(child, 10) is None:
                    child.kill()
                    child.wait()
    if code != 0:
        text = _reason(log, offset)
        raise CommandError(f"{what} failed: {text}; {remedy} (whole output: {log})", ExitCode.SETUP_FAILED)
    say(f"{what}: done in {time.monotonic() - started:.0f} s")


def _wait(child: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _reason(log: Path, offset: int) -> str:
    with log.open("rb") as output:
        output.seek(offset)
        lines = [line.strip() for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.upper().startswith(("ERROR", "[ERROR]", "E:"))]
    return (telling or lines[-1:] or ["it printed nothing"])[0][:300].rstrip(".")
