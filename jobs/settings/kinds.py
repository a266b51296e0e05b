"""The kinds of settings. One object is one name in the environment: its readers, its meaning and its allowed values.

An empty value counts as not set. A wrong one is refused with one sentence, which never repeats a secret.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

Value = TypeVar("Value")
IN_A_FILE = "_FILE"
"""Behind the name of a secret setting: the file that holds the value, as orchestrators mount secrets."""

SHOWN_MAX = 200
"""Characters of a refused value that are repeated: a URL is shown as a whole, a pasted file is not."""

UNSET_REMEDY = (
    "set it, or start a local stack, since none is running that sets it: ./viewledger up, or "
    "./viewledger demo --keep for one with data"
)
"""What to do about a setting without a value: a running stack completes the environment of every command."""


@dataclass(frozen=True, eq=False, repr=False)
class Setting(ABC, Generic[Value]):
    """The common part of the kinds; a kind parses a text, and raises ValueError for an invalid one."""

    name: str
    _: KW_ONLY
    read_by: str
    """The processes, the commands or the files that read it."""
    meaning: str
    default: Value | None = None
    without: str = ""
    """The effect while it is not set, for a setting without a default that not every reader needs."""
    is_secret: bool = False

    @property
    @abstractmethod
    def allowed(self) -> str:
        """Return the allowed values in words; follows `it must be`."""

    @abstractmethod
    def parse(self, text: str) -> Value:
        """Return the value of a text; raise ValueError."""

    def text(self, value: Value) -> str:
        """Return a value in the notation of the environment."""
        return str(value)

    def is_set(self, environ: Mapping[str, str]) -> bool:
        """Return whether the environment sets it, or names the file with it."""
        return bool(environ.get(self.name) or (self.is_secret and environ.get(self.name + IN_A_FILE)))

    def read(self, environ: Mapping[str, str]) -> Value:
        """Return the value, or the default; raise CommandError(BAD_INPUT) for a wrong value, or for none without
        default."""
        value = self.read_if_set(environ)
        if value is None:
            value = self.default
        if value is None:
            raise CommandError(f"{self.name} is not set; {UNSET_REMEDY}", ExitCode.BAD_INPUT)
        return value

    def read_if_set(self, environ: Mapping[str, str]) -> Value | None:
        """Return the value, None while it is not set; raise CommandError(BAD_INPUT) for a wrong one."""
        text = environ.get(self.name)
        if self.is_secret and (path := environ.get(self.name + IN_A_FILE)):
            text = self._in_file(path, is_set=bool(text))
        if not text:
            return None
        try:
            value = self.parse(text)
        except ValueError:
            raise CommandError(self._refusal(text), ExitCode.BAD_INPUT) from None
        if isinstance(value, str | Path) and not self.is_secret and text != text.strip():  # as lines of Windows end
            raise CommandError(
                f"{self.name} is {text[:SHOWN_MAX]!r}; leave out the white space around it", ExitCode.BAD_INPUT
            )
        return value

    def _in_file(self, path: str, *, is_set: bool) -> str:
        """Return what the file of a secret holds, without the line's end."""
        name = self.name + IN_A_FILE
        if is_set:
            raise CommandError(f"{self.name} and {name} are both set; set one of them", ExitCode.BAD_INPUT)
        try:
            text = Path(path).read_text("utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path that no file can have
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            found = f"{name} names a file that cannot be read: {path!r} ({reason})"
            raise CommandError(f"{found}; name a readable file with the secret alone", ExitCode.BAD_INPUT) from None
        if not text:
            raise CommandError(f"{name} names an empty file: {path!r}; write the secret to it", ExitCode.BAD_INPUT)
        return text

    def _refusal(self, text: str) -> str:
        found = f"{self.name} has a wrong value" if self.is_secret else f"{self.name} is {text[:SHOWN_MAX]!r}"
        return f"{found}; it must be {self.allowed}"


@dataclass(frozen=True, eq=False, repr=False)
class Whole(Setting[int]):
    """A whole number within [least, most]."""

    _: KW_ONLY
    least: int
    most: int

    @property
    def allowed(self) -> str:
        """Return the range in words."""
        return f"a whole number from {self.least} to {self.most}"

    def parse(self, text: str) -> int:
        """Return the number."""
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not self.least <= int(text) <= self.most:
            raise ValueError
        return int(text)


def port(
    name: str, *, read_by: str, meaning: str, default: int | None = None, without: str = "", least: int = 1
) -> Whole:
    """Declare a port; `least` is 0 where 0 has a meaning of its own."""
    return Whole(name, read_by=read_by, meaning=meaning, default=default, without=without, least=least, most=65_535)


@dataclass(frozen=True, eq=False, repr=False)
class Number(Setting[float]):
    """A number within [least, most]; for durations and shares, never for money."""

    _: KW_ONLY
    least: float
    most: float

    @property
    def allowed(self) -> str:
        """Return the range in words."""
        return f"a number from {self.least:g} to {self.most:g}"

    def parse(self, text: str) -> float:
        """Return the number."""
        if not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", text, re.ASCII) or not self.least <= float(text) <= self.most:
            raise ValueError
        return float(text)


class Flag(Setting[bool]):
    """Yes or no."""

    @property
    def allowed(self) -> str:
        """Return the two allowed texts."""
        return "0 or 1"

    def parse(self, text: str) -> bool:
        """Return whether it is 1."""
        if text not in ("0", "1"):
            raise ValueError
        return text == "1"

    def text(self, value: bool) -> str:
        """Return 0 or 1."""
        return str(int(value))


@dataclass(frozen=True, eq=False, repr=False)
class Text(Setting[str]):
    """A text; if `pattern` is given, of that form, which `form` describes."""

    _: KW_ONLY
    pattern: str = ".*"
    form: str = "a text"

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return self.form

    def parse(self, text: str) -> str:
        """Return the text."""
        if not re.fullmatch(self.pattern, text, re.ASCII | re.DOTALL):
            raise ValueError
        return text


class Several(Setting[tuple[str, ...]]):
    """Texts separated by commas."""

    def text(self, value: tuple[str, ...]) -> str:
        """Return the texts separated by commas."""
        return ",".join(value)


@dataclass(frozen=True, eq=False, repr=False)
class Names(Several):
    """Some of the names in `known`, separated by commas."""

    _: KW_ONLY
    known: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """Return the known names in words."""
        return f"one of {', '.join(self.known)}, or several with commas"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the names, in the order given."""
        names = tuple(each.strip() for each in text.split(","))
        if not set(names) <= set(self.known):
            raise ValueError
        return names


class LocalPath(Setting[Path]):
    """A folder or a file."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "a path"

    def parse(self, text: str) -> Path:
        """Return the path."""
        return Path(text)
