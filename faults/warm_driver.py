"""A process that does one batch run after the other, so that only the first of them starts Spark cold.

Each run is the command's own code with settings of its own and a Spark context of its own; what stays warm is the Java
process. Runs that get a fault themselves are always cold processes; this one does the runs after a fault, which must
count everything once.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from jobs import cli
from jobs.child.process import bound_to_parent
from jobs.local_stack.servers import our_command
from jobs.settings.state_home import PROJECT

CONTEXTS_MAX = 12
"""Java ends after this many runs with Spark: of each it keeps the copies of the jars open, 60 MB of memory in tests."""


class WarmDriver:
    """Started with the first run. Called from the main thread only."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._child: subprocess.Popen[str] | None = None

    def run(self, words: Sequence[str], environ: Mapping[str, str], log: Path) -> tuple[int, str]:
        """Run a command as a process of its own would; return its exit code and output."""
        if self._child is None or self._child.poll() is not None:
            self._child = self._start(environ)
        if self._child.stdin is None or self._child.stdout is None:
            raise RuntimeError("the driver has no pipes")
        request = {"words": list(words), "environ": dict(environ), "log": str(log)}
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            return self._child.wait(), ""
        code, output, is_last = json.loads(answer)
        if is_last:
            self.close()
        return int(code), str(output)

    def close(self) -> None:
        """End it."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _start(self, environ: Mapping[str, str]) -> "subprocess.Popen[str]":
        python, *flags = our_command()[:2]
        return subprocess.Popen(
            [python, *flags, "-m", __name__],
            env=dict(environ),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("a"),
            text=True,
            preexec_fn=bound_to_parent(15),
        )


def main() -> None:
    """Run the requested commands, line by line, until the input is closed."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Java's output goes to the log
    contexts = 0
    for line in sys.stdin:
        request = json.loads(line)
        os.environ.clear()
        os.environ.update(request["environ"])
        with (
            Path(request["log"]).open("a") as log,
            redirect_stderr(log),
            redirect_stdout(io.StringIO()) as output,
        ):
            code = cli.main(request["words"])
        contexts += _end_spark()
        print(json.dumps([code, output.getvalue(), contexts >= CONTEXTS_MAX]), file=answers, flush=True)


def _end_spark() -> bool:
    """End the context of a command; return whether it had one."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()
    return session is not None


if __name__ == "__main__":
    main()
