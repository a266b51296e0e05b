"""`./viewledger topics create|check`: the topics, their settings, and the differences on the broker."""

from collections.abc import Sequence
from contextlib import suppress

import kafka.errors
from kafka.admin import KafkaAdminClient

from jobs.checkup.topics import admin_client, differences, required_topics, wanted_settings
from jobs.exit_codes import ExitCode
from jobs.settings import KafkaConnection, environment


def create_missing() -> ExitCode:
    """Create missing topics, then check; see `check`."""
    connection = KafkaConnection.from_environ(environment())
    with admin_client(connection) as admin:
        for name in create(admin, connection):
            print(f"created {name}")
        return _report(differences(admin, connection), connection)


def check() -> ExitCode:
    """Return OK if the topics are right, else DIFFERENCE (each difference on its own line)."""
    connection = KafkaConnection.from_environ(environment())
    with admin_client(connection) as admin:
        return _report(differences(admin, connection), connection)


def _report(found: Sequence[str], connection: KafkaConnection) -> ExitCode:
    for difference in found:
        print(difference)
    if not found:
        print(f"{len(required_topics(connection.partition_count))} topics are as they should be")
    return ExitCode.DIFFERENCE if found else ExitCode.OK


def create(admin: KafkaAdminClient, connection: KafkaConnection) -> list[str]:
    """Create the topics that do not exist and wait for their leaders; change no existing one. Return the new names."""
    there = set(admin.list_topics())
    missing = {
        topic.name: {
            "num_partitions": topic.partition_count,
            "replication_factor": connection.replication_factor,
            "configs": wanted_settings(topic, connection),
        }
        for topic in required_topics(connection.partition_count)
        if topic.name not in there
    }
    if missing:
        # Somebody may have created one meanwhile; the check that follows judges it.
        with suppress(kafka.errors.TopicAlreadyExistsError):
            admin.create_topics(missing)
        admin.wait_for_topics(list(missing), timeout_ms=30_000)
    return list(missing)
