"""Settings: parsed once from a mapping of the environment, checked before anything connects."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.stack_in_use import folder_in_use, is_running, read_environment

POSTGRES_URL = "VIEWLEDGER_POSTGRES_URL"


def environment(login: str | None = None) -> Mapping[str, str]:
    """Return the environment; what it lacks comes from the stack that `up` or `demo --keep` left running, if any.

    `login` says whose login of PostgreSQL the work needs (`BILLING`): where VIEWLEDGER_BILLING_POSTGRES_URL is set, it
    takes the place of VIEWLEDGER_POSTGRES_URL. Who names a database in the process's environment gets none of the
    stack's logins beside it.
    """
    folder, own = folder_in_use(), dict(os.environ)
    stack = read_environment(folder) if is_running(folder) else {}
    if own.get(POSTGRES_URL):
        stack = {name: value for name, value in stack.items() if not name.endswith("_POSTGRES_URL")}
    known = stack | own
    special = known.get(login_setting(login)) if login else None
    return known | {POSTGRES_URL: special} if special else known


def login_setting(login: str) -> str:
    """Return the setting with the URL of a login: `BILLING` → VIEWLEDGER_BILLING_POSTGRES_URL."""
    return f"VIEWLEDGER_{login}_POSTGRES_URL"


def required(environ: Mapping[str, str], name: str) -> str:
    """Return a setting that has no default."""
    value = environ.get(name, "")
    if not value:
        raise CommandError(
            f"{name} is not set; set it (./viewledger up sets those of the local stack)", ExitCode.BAD_INPUT
        )
    return value


def integer(environ: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number within [least, most]."""
    text = environ.get(name) or str(default)
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
        raise CommandError(f"{name} is {text!r}; it must be a whole number from {least} to {most}", ExitCode.BAD_INPUT)
    return int(text)


def decimal(environ: Mapping[str, str], name: str, *, default: float, least: float, most: float) -> float:
    """Return a number within [least, most]; for durations and shares, never for money."""
    text = environ.get(name) or str(default)
    if not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", text, re.ASCII) or not least <= float(text) <= most:
        raise CommandError(f"{name} is {text!r}; it must be a number from {least} to {most}", ExitCode.BAD_INPUT)
    return float(text)


def flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    """0 or 1."""
    text = environ.get(name) or str(int(default))
    if text not in ("0", "1"):
        raise CommandError(f"{name} is {text!r}; it must be 0 or 1", ExitCode.BAD_INPUT)
    return text == "1"


def url(environ: Mapping[str, str], name: str, *, schemes: tuple[str, ...]) -> str:
    """Return a URL of one of the schemes with a host. The message never repeats the value: it may hold a password."""
    value = required(environ, name)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket or a port that is no number
        usable = False
    if not usable:
        allowed = " or ".join(f"{scheme}://host:port" for scheme in schemes)
        raise CommandError(f"{name} is not a usable URL; it must look like {allowed}", ExitCode.BAD_INPUT)
    return value


def host_ports(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """One or more `host:port`, separated by commas."""
    value = required(environ, name)
    parts = tuple(part.strip() for part in value.split(","))
    for part in parts:
        host, _, port = part.rpartition(":")
        if not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or not 1 <= int(port) <= 65535:
            raise CommandError(f"{name} is {value!r}; it must be host:port, or several with commas", ExitCode.BAD_INPUT)
    return parts


@dataclass(frozen=True)
class KafkaConnection:
    """Where Kafka is, and how safely topics are kept."""

    bootstrap: tuple[str, ...]
    replication_factor: int
    min_insync_replicas: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "KafkaConnection":
        """Read VIEWLEDGER_KAFKA_BOOTSTRAP, VIEWLEDGER_REPLICATION_FACTOR, VIEWLEDGER_MIN_INSYNC_REPLICAS."""
        replication = integer(environ, "VIEWLEDGER_REPLICATION_FACTOR", default=1, least=1, most=9)
        return cls(
            bootstrap=host_ports(environ, "VIEWLEDGER_KAFKA_BOOTSTRAP"),
            replication_factor=replication,
            min_insync_replicas=integer(
                environ, "VIEWLEDGER_MIN_INSYNC_REPLICAS", default=1, least=1, most=replication
            ),
        )


@dataclass(frozen=True)
class RedisConnection:
    """Where Redis is."""

    url: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "RedisConnection":
        """Read VIEWLEDGER_REDIS_URL."""
        return cls(url=url(environ, "VIEWLEDGER_REDIS_URL", schemes=("redis", "rediss")))


@dataclass(frozen=True)
class PostgresConnection:
    """Where PostgreSQL is; the URL holds the password and must not be logged."""

    url: str

    def __repr__(self) -> str:
        return "PostgresConnection(url=…)"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "PostgresConnection":
        """Read VIEWLEDGER_POSTGRES_URL."""
        return cls(url=url(environ, "VIEWLEDGER_POSTGRES_URL", schemes=("postgresql", "postgres")))


@dataclass(frozen=True)
class HdfsConnection:
    """Where the NameNode is."""

    url: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "HdfsConnection":
        """Read VIEWLEDGER_HDFS_URL."""
        return cls(url=url(environ, "VIEWLEDGER_HDFS_URL", schemes=("hdfs",)))
