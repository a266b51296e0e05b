"""Parse command lines without doing their work."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import pytest

from jobs.command_line import words
from jobs.command_line.frame import Command
from jobs.command_line.root import ROOT
from jobs.exit_codes import ExitCode


def parsed(line: Sequence[str]) -> tuple[Command, dict[str, Any]]:
    """The command that a line is, and what its work would be called with; raises CommandError as the product does."""
    taken: list[tuple[Command, dict[str, Any]]] = []

    def noting(command: Command) -> Callable[..., ExitCode]:
        def note(**params: Any) -> ExitCode:
            taken.append((command, params))
            return ExitCode.OK

        return note

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Command, "work", noting)
        assert words.run(line) == ExitCode.OK
    (found,) = taken
    return found


def every_command(
    group: click.Group = ROOT, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every group and command below a group with the words that lead to it."""
    for name, command in group.commands.items():
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*before, name))
