"""A command: its declaration, and its work, which is imported when the command runs.

Declarations import nothing but click and the standard library, so that help, completion and a wrong flag are answered
at once; the command that needs a server's client or Spark loads it.
"""

import importlib
from collections.abc import Callable
from typing import Any

import click

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

SHOWN_MAX = 40
"""How many characters of a refused value a sentence shows."""
NOT_SHIPPED = ("attacks", "faults")
"""Packages that are part of a checkout and not of an image."""


class Command(click.Command):
    """A command whose work is a function, given as `module:function`.

    The function takes each parameter by its name and returns the exit code; it raises CommandError for everything
    that the user can act on.
    """

    allow_extra_args = True
    """`invoke` refuses them and names the first one."""

    def __init__(self, name: str, work: str, text: str, *params: click.Parameter, **settings: Any) -> None:
        super().__init__(name, params=list(params), help=_sentence(text), **settings)
        self.place = work

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the flags; a refusal knows the command that they belong to."""
        try:
            return super().parse_args(ctx, args)
        except click.BadOptionUsage as error:
            error.ctx = ctx
            raise

    def invoke(self, ctx: click.Context) -> ExitCode:
        """Do the work."""
        if ctx.args:
            raise click.UsageError(f"unexpected word: {ctx.args[0]!r}; leave it out", ctx)
        for param in self.params:
            if not isinstance(param.type, click.Path):  # the name of a file may be of any bytes
                _refuse_bytes(ctx, param)
        return self.work()(**ctx.params)

    def work(self) -> Callable[..., ExitCode]:
        """Return the function that does the work; raise CommandError if its package is not shipped."""
        module, _, function = self.place.partition(":")
        try:
            found: Callable[..., ExitCode] = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError as error:
            if error.name not in NOT_SHIPPED:
                raise
            raise CommandError(
                f"`{self.name}` is not part of this image; run it from a checkout of the project", ExitCode.BAD_INPUT
            ) from error
        return found

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the complete help, as shown in the list of a group."""
        return _short(self)


class CommandGroup(click.Group):
    """A noun and its verbs."""

    def __init__(self, name: str, text: str, *commands: click.Command, **settings: Any) -> None:
        super().__init__(name, commands=list(commands), help=_sentence(text), **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of their declaration."""
        return list(self.commands)

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the complete help, as shown in the list of a group."""
        return _short(self)


def _refuse_bytes(ctx: click.Context, param: click.Parameter) -> None:
    """Refuse a value with bytes that are not UTF-8, which Python reads as half characters: no server takes them."""
    value = ctx.params.get(param.name or "")
    for text in value if isinstance(value, tuple) else (value,):
        try:
            str(text).encode()
        except UnicodeEncodeError as error:
            raise click.BadParameter(
                f"is not text in UTF-8: {text[:SHOWN_MAX]!r}; give it in UTF-8", ctx, param
            ) from error


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _short(command: click.Command) -> str:
    return (command.help or "").split("\n\n")[0].removesuffix(".")
