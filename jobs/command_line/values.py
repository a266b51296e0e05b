"""The kinds of values of flags and words: each is parsed in one strict way, before any server is called.

A refusal is the end of a sentence that begins with the flag: the error, the value, and what to give.
"""

import os
import re
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any

import click
from click import BadParameter, Context, Parameter

from ingestion.contract.attestation import KEY_ID_PATTERN
from ingestion.contract.instants import BOUNDS, day_of_text, instant_of
from ingestion.contract.periods import Period
from ingestion.contract.printable import is_name, is_text
from jobs.command_line.frame import SHOWN_MAX

RUN = "run"
"""The actor of a billing run's own steps; no person has this name."""


class WholeNumber(click.ParamType[int, str]):
    """A whole number within bounds, in plain digits; `int` itself would take `1_000`, ` 12` and other scripts."""

    name = "N"

    def __init__(self, least: int = 0, most: int = 10**18 - 1) -> None:
        self.least, self.most = least, most

    def convert(self, value: str | int, param: Parameter | None, ctx: Context | None) -> int:
        """Return the number."""
        text = str(value)
        wanted = f"give a whole number from {self.least} to {self.most}"
        if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
            raise BadParameter(f"is not a whole number: {text[:SHOWN_MAX]!r}; {wanted}")
        if not self.least <= int(text) <= self.most:
            raise BadParameter(f"is out of range: {text}; {wanted}")
        return int(text)


class Duration(click.ParamType[timedelta, str]):
    """A length of time in whole seconds, minutes or hours (`90s`, `5m`, `1h`) within bounds."""

    name = "DURATION"
    seconds = MappingProxyType({"s": 1, "m": 60, "h": 3600})

    def __init__(self, least: str, most: str) -> None:
        self.wanted = f"give a whole number with s, m or h, from {least} to {most}"
        self.least, self.most = self._of(least), self._of(most)

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> timedelta:
        """Return the length."""
        if re.fullmatch("[0-9]{1,9}[smh]", value) is None:
            raise BadParameter(f"is not a duration: {value[:SHOWN_MAX]!r}; {self.wanted}")
        if not self.least <= (found := self._of(value)) <= self.most:
            raise BadParameter(f"is out of range: {value}; {self.wanted}")
        return found

    def _of(self, text: str) -> timedelta:
        return timedelta(seconds=int(text[:-1]) * self.seconds[text[-1]])


class BackupId(click.ParamType[str, str]):
    """The id of a backup: the UTC second in which it was begun."""

    name = "ID"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the id."""
        if re.fullmatch("[0-9]{8}T[0-9]{6}Z", value) is None:
            raise BadParameter(f"is not a backup: {value[:SHOWN_MAX]!r}; give it as 20261129T020000Z")
        return value


class PathName(click.Path):
    """A file or a folder of this machine, which need not exist. No name is the current folder's: scripts forget one."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> Any:
        """Return the path."""
        if not value:
            raise BadParameter("is empty; name a file or a folder")
        try:
            os.lstat(value)
        except (FileNotFoundError, NotADirectoryError):
            pass  # it will be made, or what reads it refuses it
        except OSError as error:
            raise BadParameter(f"cannot be used: {value[:SHOWN_MAX]!r} ({error.strerror}); name another") from error
        return super().convert(value, param, ctx)


class OneOf(click.Choice[str]):
    """One of a few words."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> str:
        """Return the word."""
        if value not in self.choices:
            raise BadParameter(f"is unknown: {str(value)[:SHOWN_MAX]!r}; give one of {', '.join(self.choices)}")
        return str(value)


class Day(click.ParamType[date, str]):
    """A UTC day; only as 2026-10-31, of the forms of ISO 8601."""

    name = "DAY"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> date:
        """Return the day."""
        try:
            return day_of_text(value)
        except ValueError as error:
            raise BadParameter(f"is not a day: {value[:SHOWN_MAX]!r}; give it as 2026-10-31, {BOUNDS}") from error


class DayOrAll(click.ParamType[date | None, str]):
    """A UTC day, or `all`, which is None."""

    name = "DAY"
    all = "all"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> date | None:
        """Return the day, or None for `all`."""
        try:
            return None if value == self.all else day_of_text(value)
        except ValueError as error:
            raise BadParameter(
                f"is not a day: {value[:SHOWN_MAX]!r}; give it as 2026-10-31, or all; {BOUNDS}"
            ) from error


class EndOfDayOrInstant(click.ParamType[datetime, str]):
    """The end of a UTC day (`2026-11-24`), or an instant with its zone (`2026-11-24T12:00:00Z`)."""

    name = "DATE"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> datetime:
        """Return the instant."""
        try:
            return datetime.combine(day_of_text(value) + timedelta(days=1), time(), UTC)
        except ValueError:
            pass  # no day
        try:
            return instant_of(value)
        except ValueError as error:
            raise BadParameter(
                f"is not a day or an instant: {value[:SHOWN_MAX]!r}; give a day like 2026-11-24, or an instant with "
                f"its zone like 2026-11-24T12:00:00Z, {BOUNDS}"
            ) from error


class Instant(click.ParamType[datetime, str]):
    """An instant with its zone (`2026-11-24T12:00:00Z`)."""

    name = "INSTANT"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> datetime:
        """Return the instant."""
        try:
            return instant_of(value)
        except ValueError as error:
            raise BadParameter(
                f"is not an instant: {value[:SHOWN_MAX]!r}; give it with its zone like 2026-11-24T12:00:00Z, {BOUNDS}"
            ) from error


class BillingPeriod(click.ParamType[Period, str]):
    """A month, or a half-open range of UTC days."""

    name = "PERIOD"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> Period:
        """Return the period."""
        try:
            return Period.parse(value)
        except ValueError as error:
            raise BadParameter(f"cannot be read: {error}") from error


class Currency(click.ParamType[str, str]):
    """A currency of ISO 4217 that money can be paid in."""

    name = "CODE"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the code."""
        from billing.terms.currency import CURRENCIES  # the list of all currencies is read from a file

        if value not in CURRENCIES:
            raise BadParameter(f"is not an ISO 4217 currency: {value[:SHOWN_MAX]!r}; give one like EUR")
        return value


class EventId(click.ParamType[str, str]):
    """The id of an event."""

    name = "EVENT_ID"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the id in canonical form."""
        from ingestion.contract.event import event_id_of  # with the decoder of events

        event_id = event_id_of(value)
        if event_id is None:
            raise BadParameter(f"is not an event id: {value[:SHOWN_MAX]!r}; give a UUID")
        return event_id


class StatementId(click.ParamType[str, str]):
    """The id of a statement, for commands that stream its events before they know whether it exists."""

    name = "ID"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the id."""
        if re.fullmatch("[0-9a-f]{32}", value) is None:
            raise BadParameter(f"is not a statement id: {value[:SHOWN_MAX]!r}; give its 32 hex digits")
        return value


class PartitionOffset(click.ParamType[tuple[int, int], str]):
    """The place of a message on its topic's log."""

    name = "PARTITION:OFFSET"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> tuple[int, int]:
        """Return the partition and the offset."""
        found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", value, re.ASCII)
        if found is None:
            raise BadParameter(f"is not a place on the log: {value[:SHOWN_MAX]!r}; give one like 3:1881")
        return int(found[1]), int(found[2])


class PayeeId(click.ParamType[str, str]):
    """The id of a payee."""

    name = "ID"
    most = 128

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the id."""
        if not 1 <= len(value) <= self.most:
            raise BadParameter(f"is not a payee's id: {value[:SHOWN_MAX]!r}; give 1 to {self.most} characters")
        return value


class KeyId(click.ParamType[str, str]):
    """The id of a key in a JWK Set."""

    name = "KID"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the id."""
        if re.fullmatch(KEY_ID_PATTERN, value) is None:
            raise BadParameter(
                f"is not a key's id: {value[:SHOWN_MAX]!r}; give 1 to 64 of the characters A-Z a-z 0-9 . _ -"
            )
        return value


class Name(click.ParamType[str, str]):
    """A text of one line that is stored: a name, or a reason that payees read."""

    name = "TEXT"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the text without leading and trailing white space."""
        if not is_name(value.strip(), most=self.most):
            raise BadParameter(f"is not readable: {value[:SHOWN_MAX]!r}; give 1 to {self.most} printable characters")
        return value.strip()


class TextValue(Name):
    """A text that is stored and may have several lines."""

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the text without leading and trailing white space."""
        if not is_text(value.strip(), most=self.most):
            raise BadParameter(f"is not readable: {value[:SHOWN_MAX]!r}; give 1 to {self.most} printable characters")
        return value.strip()


class Person(Name):
    """The name of a person."""

    name = "NAME"

    def convert(self, value: str, param: Parameter | None, ctx: Context | None) -> str:
        """Return the name without leading and trailing white space."""
        person = super().convert(value, param, ctx)
        if person.casefold() == RUN:
            raise BadParameter(f"is {person!r}, which is nobody's name; give the name of a person")
        return person
