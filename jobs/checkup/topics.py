"""The required Kafka topics, and their differences on the broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import kafka.errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from ingestion.contract.printable import counted
from ingestion.contract.topics import (
    TOPIC_AD_VIEWS,
    TOPIC_CLOCK,
    TOPIC_DEAD_LETTERS,
    TOPIC_USER_SESSIONS,
    TOPIC_VIDEO_VIEWS,
)
from ingestion.contract.unavailable import UnavailableError
from jobs.checkup.kafka_access import check_access
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings import KafkaConnection
from jobs.settings.declared.servers import PARTITIONS

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MESSAGE_BYTES_MAX = 1_048_588
"""Kafka's own default, stated: one compressed record batch of events of at most 64 KiB each."""


@dataclass(frozen=True)
class Topic:
    """A required topic. The broker stamps its records (LogAppendTime): received means appended."""

    name: str
    partition_count: int
    retention_ms: int
    settings: dict[str, str] = field(default_factory=dict)


def required_topics(partition_count: int) -> tuple[Topic, ...]:
    """Return the topics of an installation that has this number of partitions of views."""
    return (
        Topic(TOPIC_VIDEO_VIEWS, partition_count, 7 * DAY_MS),
        Topic(TOPIC_AD_VIEWS, 12, 7 * DAY_MS),
        Topic(TOPIC_USER_SESSIONS, 12, 7 * DAY_MS),
        Topic(TOPIC_DEAD_LETTERS, 12, 30 * DAY_MS),
        Topic(TOPIC_CLOCK, 1, HOUR_MS, {"segment.ms": str(HOUR_MS)}),
    )


@contextmanager
def admin_client(connection: KafkaConnection, *, within_ms: int = 10_000) -> Iterator[KafkaAdminClient]:
    """Yield an admin client; a failure of the broker becomes CommandError(UNAVAILABLE), being refused REFUSED."""
    brokers = connection.brokers
    try:
        check_access(brokers, {})
        admin = KafkaAdminClient(**brokers.of_python(), bootstrap_timeout_ms=within_ms, client_id="viewledger-topics")
        try:
            yield admin
        finally:
            admin.close()
    except UnavailableError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from error
    except kafka.errors.KafkaError as error:
        raise CommandError(
            f"Kafka at {brokers} refuses the request ({error}); start it, or set VIEWLEDGER_KAFKA_BOOTSTRAP",
            ExitCode.UNAVAILABLE,
        ) from error


def wanted_settings(topic: Topic, connection: KafkaConnection) -> dict[str, str]:
    """Return the broker's settings of a topic, by Kafka's names."""
    return {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(topic.retention_ms),
        "retention.bytes": "-1",
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        "min.insync.replicas": str(connection.min_insync_replicas),
        "unclean.leader.election.enable": "false",
        **topic.settings,
    }


def differences(admin: KafkaAdminClient, connection: KafkaConnection) -> list[str]:
    """Return one sentence for every difference, each with its remedy."""
    topics = required_topics(connection.partition_count)
    names = [topic.name for topic in topics]
    there = set(admin.list_topics())
    known = [name for name in names if name in there]
    found = [f"topic {name} does not exist; run ./viewledger topics create" for name in names if name not in there]
    if not known:
        return found
    described = {topic["name"]: topic for topic in admin.describe_topics(known)}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in known]
    settings = admin.describe_configs(resources, config_filter="all")["topic"]
    for topic in topics:
        if topic.name in described:
            found += layout_differences(topic, described[topic.name]["partitions"], connection)
            found += setting_differences(topic, settings[topic.name], connection)
    return found


def layout_differences(topic: Topic, partitions: list[dict[str, Any]], connection: KafkaConnection) -> list[str]:
    """Return the differences in partitions and replicas."""
    found = []
    if len(partitions) != topic.partition_count:
        is_chosen = topic.name == TOPIC_VIDEO_VIEWS and PARTITIONS.least <= len(partitions) <= PARTITIONS.most
        remedy = f"set {PARTITIONS.name} to {len(partitions)}, or " if is_chosen else ""
        found.append(
            f"topic {topic.name} has {counted(len(partitions), 'partition')} instead of {topic.partition_count}; "
            f"{remedy}begin with an empty topic: in another number of partitions a key would change its own"
        )
    replicas = {len(partition["replica_nodes"]) for partition in partitions}
    if replicas != {connection.replication_factor}:
        found.append(
            f"topic {topic.name} has {'/'.join(map(str, sorted(replicas)))} replicas instead of "
            f"{connection.replication_factor}; reassign its partitions, or set VIEWLEDGER_REPLICATION_FACTOR"
        )
    return found


def setting_differences(topic: Topic, settings: dict[str, dict[str, Any]], connection: KafkaConnection) -> list[str]:
    """Return the differences in the topic's settings."""
    return [
        f"topic {topic.name} has {name}={settings[name]['value']} instead of {wanted}; "
        f"run kafka-configs --alter --topic {topic.name} --add-config {name}={wanted}"
        for name, wanted in wanted_settings(topic, connection).items()
        if settings[name]["value"] != wanted
    ]
