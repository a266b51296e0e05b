"""The batch runs of one scene: `batch run` as an operator's scheduler starts it."""

import json
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from faults.waiting import NotInTimeError
from faults.warm_driver import WarmDriver
from jobs.child.process import bound_to_parent
from jobs.local_stack.servers import our_command
from jobs.resilience.failpoints import VARIABLE
from jobs.settings.state_home import PROJECT

SECONDS_MAX = 400.0
RUN = ("batch", "run")


class BatchRuns:
    """Starts runs with the scene's settings, and keeps their output."""

    def __init__(self, folder: Path, environ: Mapping[str, str], warm: Callable[[], WarmDriver]) -> None:
        self._environ, self._warm = environ, warm
        self.log = folder / "batch.log"
        self.verdicts: dict[str, dict[str, int]] = {}
        """Run id → its verdicts, of every run that published."""
        self.was_used = False

    def run(self, *more: str) -> dict[str, Any]:
        """Do a run that must succeed, with `more` flags, in the warm process; return its result."""
        code, output = self._warm().run((*RUN, *more, "--json"), self._environ, self.log)
        return self._checked(code, output)

    def start(
        self,
        failpoint: str = "",
        *,
        attempts: int = 3,
        changes: Mapping[str, str] = {},
        words: Sequence[str] = RUN,
    ) -> "subprocess.Popen[str]":
        """Start a run, or the command of other `words`, as a process of its own, with `changes` to its settings."""
        environ = {**self._environ, **changes, **({VARIABLE: failpoint} if failpoint else {})}
        return subprocess.Popen(
            our_command(*words, "--json", "--attempts", str(attempts)),
            env=environ,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=self.log.open("a"),
            text=True,
            preexec_fn=bound_to_parent(signal.SIGKILL),  # a run that has stopped itself hears nothing else
        )

    def finish(self, child: "subprocess.Popen[str]", expected: int | None = 0) -> int:
        """Wait for a run and return its exit code, which must be the expected one; None for any."""
        try:
            output, _ = child.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise NotInTimeError(f"a batch run did not end within {SECONDS_MAX:.0f} s") from error
        if expected is None and child.returncode != 0:
            return int(child.returncode)
        self._checked(child.returncode, output, expected or 0)
        return int(child.returncode)

    def printed(self) -> str:
        """Return all output of the runs."""
        return self.log.read_text()

    def _checked(self, code: int, output: str, expected: int = 0) -> dict[str, Any]:
        if code != expected:
            raise AssertionError(f"batch run ended with {code} instead of {expected}: {self.printed()[-800:]}")
        self.was_used = True
        result: dict[str, Any] = json.loads(output) if code == 0 else {}
        if result.get("state") == "published":
            self.verdicts[result["run_id"]] = result["verdicts"]
        return result
