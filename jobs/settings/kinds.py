"""The kinds of settings. One object is one name in the environment: its readers, its meaning and its allowed values.

An empty value counts as not set. A wrong one is refused with one sentence, which never repeats a secret.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

Value = TypeVar("Value")
_is_origin = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9]\d{0,4})?", re.ASCII).fullmatch


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
        """Return whether the environment sets it."""
        return bool(environ.get(self.name))

    def read(self, environ: Mapping[str, str]) -> Value:
        """Return the value, or the default; raise CommandError(BAD_INPUT) for a wrong value, or for none without
        default."""
        value = self.read_if_set(environ)
        if value is None:
            value = self.default
        if value is None:
            remedy = "set it (./viewledger up sets those of the local stack)"
            raise CommandError(f"{self.name} is not set; {remedy}", ExitCode.BAD_INPUT)
        return value

    def read_if_set(self, environ: Mapping[str, str]) -> Value | None:
        """Return the value, None while it is not set; raise CommandError(BAD_INPUT) for a wrong one."""
        text = environ.get(self.name)
        if not text:
            return None
        try:
            return self.parse(text)
        except ValueError:
            raise CommandError(self._refusal(text), ExitCode.BAD_INPUT) from None

    def _refusal(self, text: str) -> str:
        found = f"{self.name} has a wrong value" if self.is_secret else f"{self.name} is {text!r}"
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


class Addresses(Several):
    """IP addresses, separated by commas."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "an IP address, or several with commas"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the addresses, in their notation."""
        return tuple(str(ip_address(part)) for part in map(str.strip, text.split(",")) if part)


class Origins(Several):
    """Origins of web pages as browsers write them, separated by commas, or `*` for every one."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "like https://www.example.com, without a path (several with commas), or * alone"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the origins, in small letters and without a default port; raise ValueError."""
        origins = tuple(part.strip().lower() for part in text.split(","))
        if origins != ("*",) and not all(map(_is_origin, origins)):
            raise ValueError
        return tuple(re.sub("(?<=^http):(.*):80$|(?<=^https):(.*):443$", r":\1\2", each) for each in origins)


class HostPorts(Several):
    """One or more `host:port`, separated by commas."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "host:port, or several with commas"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return each `host:port`."""
        return _host_ports(text)


def _host_ports(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    for part in parts:
        host, _, port = part.rpartition(":")
        if not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or not 1 <= int(port) <= 65535:
            raise ValueError
    return parts


class SparkMaster(Setting[str]):
    """Cores of this machine, or a cluster's manager."""

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return "local[N] or local[*], spark://host:port (several with commas), or yarn"

    def parse(self, text: str) -> str:
        """Return Spark's name for it."""
        if text != "yarn" and not re.fullmatch(r"local\[(\*|[1-9]\d{0,2})\]", text, re.ASCII):
            if not text.startswith("spark://"):
                raise ValueError
            _host_ports(text.removeprefix("spark://"))
        return text


@dataclass(frozen=True, eq=False, repr=False)
class Url(Setting[str]):
    """A URL of one of the schemes with a host. A refusal never repeats the value: it may hold a password."""

    _: KW_ONLY
    schemes: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return f"like {' or '.join(f'{scheme}://host:port' for scheme in self.schemes)}"

    def parse(self, text: str) -> str:
        """Return the URL; `urlsplit` raises ValueError for a bracket or a port that is not a number."""
        parts = urlsplit(text)
        if parts.scheme not in self.schemes or not parts.hostname or parts.port == 0:
            raise ValueError
        return text

    def _refusal(self, text: str) -> str:
        return f"{self.name} is not a usable URL; it must be {self.allowed}"


class LocalPath(Setting[Path]):
    """A folder or a file."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "a path"

    def parse(self, text: str) -> Path:
        """Return the path."""
        return Path(text)
