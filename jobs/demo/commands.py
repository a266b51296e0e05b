"""Run the product's own commands for the demo, as a user would, against the demo's stack."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.child.process import bound_to_parent
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings import layered
from jobs.settings.own_environment import own_environment
from jobs.settings.state_home import PROJECT


@dataclass
class RunningCommand:
    """A `viewledger` command in a process of its own that dies with the demo; its stderr goes to a log file."""

    name: str
    process: "subprocess.Popen[str]"
    log: Path

    @classmethod
    def start(cls, arguments: list[str], environment: Mapping[str, str], log_folder: Path) -> "RunningCommand":
        """Start `viewledger ARGUMENTS --json`."""
        name = " ".join(arguments[:2])
        log = log_folder / f"demo-{name.replace(' ', '-')}.log"
        with log.open("a") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobs.cli", *arguments, "--json"],
                env=layered(own_environment(), environment) | {"PYTHONPATH": str(PROJECT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                preexec_fn=bound_to_parent(signal.SIGTERM),
            )
        return cls(name, process, log)

    def result(self) -> dict[str, Any]:
        """Wait for the end and return the last JSON document that the command printed.

        Raises:
            CommandError: it ended with another exit code than 0; the message is its last line on stderr.
        """
        output, _ = self.process.communicate()
        if self.process.returncode != 0:
            lines = self.log.read_text().strip().splitlines() or ["no message"]
            sentence = lines[-1].removeprefix("viewledger: ")
            raise CommandError(f"{self.name} failed: {sentence} (log: {self.log})", ExitCode.FAILED)
        return dict(json.loads(output))


def run_command(arguments: list[str], environment: Mapping[str, str], log_folder: Path) -> dict[str, Any]:
    """Run a command to its end and return the JSON document it printed."""
    return RunningCommand.start(arguments, environment, log_folder).result()
