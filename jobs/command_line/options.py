"""Flags and words that several commands take: each is declared once, here."""

import getpass
from pathlib import Path
from typing import Any

import click

from jobs.command_line.values import (
    BillingPeriod,
    Currency,
    EndOfDayOrInstant,
    OneOf,
    PathName,
    PayeeId,
    Person,
    TextValue,
    WholeNumber,
)

REASON_CHARACTERS_MAX = 500
NUMBER_OF_VERSION = WholeNumber(1)


def flag(name: str, text: str) -> click.Option:
    """Return a flag without a value."""
    return click.Option([name], is_flag=True, help=text)


def option(name: str, text: str, **settings: Any) -> click.Option:
    """Return a flag with a value."""
    return click.Option([name], help=text, **settings)


def number(
    name: str, text: str, default: int | None, *, least: int = 1, most: int, metavar: str = "N", required: bool = False
) -> click.Option:
    """Return a flag with a whole number; its help names the bounds."""
    kind = WholeNumber(least, most)
    text = f"{text}, {least} to {most}"
    settings: dict[str, Any] = {"required": True} if required else {"default": default}
    return click.Option([name], type=kind, show_default=True, metavar=metavar, help=text, **settings)


def choice(name: str, text: str, words: tuple[str, ...], **settings: Any) -> click.Option:
    """Return a flag that takes one of a few words."""
    return click.Option([name], type=OneOf(words), help=text, show_default=True, **settings)


def path(name: str, text: str, *, metavar: str = "FILE", **settings: Any) -> click.Option:
    """Return a flag that names a file or a folder; the shell completes it."""
    return click.Option([name], type=PathName(path_type=Path), metavar=metavar, help=text, **settings)


def actor(text: str, *, required: bool = False, most: int = 100) -> click.Option:
    """Return `--actor`; its default is the logged-in user, unless it is required."""
    text = f"{text}; stored permanently" + ("" if required else " (default: who is logged in)")
    default = None if required else _login_name
    return click.Option(["--actor"], type=Person(most), default=default, required=required, help=text)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise click.BadParameter("is missing, and this user has no login name; give --actor NAME") from error


def reason(*, required: bool = True) -> click.Option:
    """Return `--reason`."""
    text = f"why, in 1 to {REASON_CHARACTERS_MAX} characters; stored permanently"
    kind = TextValue(REASON_CHARACTERS_MAX)
    return click.Option(["--reason"], type=kind, required=required, callback=_or_empty, help=text)


def _or_empty(_context: click.Context, _param: click.Parameter, value: str | None) -> str:
    return value or ""


def period(*, required: bool = True) -> click.Option:
    """Return `--period`."""
    text = "a month (2026-10) or a half-open range of days (2026-11-18/2026-11-21), UTC"
    return click.Option(["--period"], type=BillingPeriod(), required=required, help=text)


def payee(text: str, **settings: Any) -> click.Option:
    """Return `--payee`."""
    return click.Option(["--payee"], type=PayeeId(), help=text, **settings)


JSON = click.Option(["--json", "as_json"], is_flag=True, help="print one JSON document instead of text")
CURRENCY = click.Option(["--currency"], type=Currency(), required=True, help="a currency of ISO 4217, like EUR")
VERSION = click.Option(
    ["--version"], type=NUMBER_OF_VERSION, help="the number of a published version (default: the current one)"
)
AS_OF = click.Option(
    ["--as-of"],
    type=EndOfDayOrInstant(),
    help="the version in force at the end of a UTC day, or at an instant with its zone",
)
