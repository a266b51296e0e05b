"""Settings: declared once, read from a mapping of the environment, checked before anything connects."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ingestion.contract.brokers import Brokers
from jobs.settings.brokers import read_brokers
from jobs.settings.declared import SETTINGS
from jobs.settings.declared.servers import (
    HDFS_URL,
    MIN_INSYNC_REPLICAS,
    PARTITIONS,
    POSTGRES_URL,
    REDIS_URL,
    REPLICATION_FACTOR,
)
from jobs.settings.kinds import IN_A_FILE
from jobs.settings.own_environment import own_environment
from jobs.settings.stack_in_use import folder_in_use, is_running, read_environment

Login = Literal["API", "APPROVER", "BILLING", "KEYS", "PIPELINE", "REVIEWER", "SPEED", "SQL"]
"""The owner of a PostgreSQL login: a process or a person."""


def environment(login: Login | None = None) -> Mapping[str, str]:
    """Return the environment, completed by the settings of the stack that `up` or `demo --keep` left running, if any.

    `login` names the PostgreSQL login that the work needs (`BILLING`): if VIEWLEDGER_BILLING_POSTGRES_URL is set, it
    replaces VIEWLEDGER_POSTGRES_URL. An environment that names a database itself gets none of the stack's logins.
    """
    folder, own = folder_in_use(), own_environment()
    stack = read_environment(folder) if is_running(folder) else {}
    if POSTGRES_URL.is_set(own):
        stack = {name: value for name, value in stack.items() if not name.endswith("_POSTGRES_URL")}
    known = layered(stack, own)
    special = SETTINGS[login_setting(login)].read_if_set(known) if login else None
    return layered(known, {POSTGRES_URL.name: special}) if special else known


def layered(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Return both environments in one; what `above` sets, itself or by a file, replaces both forms in `below`."""
    names = {name.removesuffix(IN_A_FILE) for name in above}
    return {name: value for name, value in below.items() if name.removesuffix(IN_A_FILE) not in names} | dict(above)


def login_setting(login: str) -> str:
    """Return the setting with the URL of a login: `BILLING` → VIEWLEDGER_BILLING_POSTGRES_URL."""
    return f"VIEWLEDGER_{login}_POSTGRES_URL"


@dataclass(frozen=True)
class KafkaConnection:
    """How Kafka is reached, and how its topics are made."""

    brokers: Brokers
    partition_count: int
    """Of the topic of views."""
    replication_factor: int
    min_insync_replicas: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "KafkaConnection":
        """Read how Kafka is reached; the number of in-sync replicas is at most the number of replicas."""
        replication = REPLICATION_FACTOR.read(environ)
        return cls(
            brokers=read_brokers(environ),
            partition_count=PARTITIONS.read(environ),
            replication_factor=replication,
            min_insync_replicas=replace(MIN_INSYNC_REPLICAS, most=replication).read(environ),
        )


@dataclass(frozen=True)
class RedisConnection:
    """The address of Redis."""

    url: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "RedisConnection":
        """Read the URL."""
        return cls(url=REDIS_URL.read(environ))


@dataclass(frozen=True)
class PostgresConnection:
    """The address of PostgreSQL; the URL holds the password and must not be logged."""

    url: str

    def __repr__(self) -> str:
        return "PostgresConnection(url=…)"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "PostgresConnection":
        """Read the URL."""
        return cls(url=POSTGRES_URL.read(environ))


@dataclass(frozen=True)
class HdfsConnection:
    """The address of the NameNode."""

    url: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "HdfsConnection":
        """Read the URL."""
        return cls(url=HDFS_URL.read(environ))
