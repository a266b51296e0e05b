"""Run commands of one group in this process, and read what they print."""

import json
from typing import Any, ClassVar

import pytest

from jobs.cli import main
from jobs.exit_codes import ExitCode


class RunsCommands:
    """A desk at which somebody gives commands; inherit from it."""

    group: ClassVar[str]
    capture: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        """The exit code, and what was printed on stdout and stderr."""
        self.capture.readouterr()
        code = main([self.group, *words])
        shown = self.capture.readouterr()
        return code, shown.out, shown.err

    def document(self, *words: str) -> dict[str, Any]:
        """The JSON of a command that succeeds and says nothing else."""
        code, out, err = self.run(*words, "--json")
        assert (code, err) == (ExitCode.OK, "")
        return dict(json.loads(out))
