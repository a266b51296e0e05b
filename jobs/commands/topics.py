"""`./viewledger topics create|check|new-generation`: the topics, their settings, and what differs on the broker."""

import argparse
from contextlib import suppress

import kafka.errors
from kafka.admin import KafkaAdminClient

from jobs.checkup.topics import TOPICS, admin_client, differences, wanted_settings
from jobs.commands import new_generation
from jobs.exit_codes import ExitCode
from jobs.settings import KafkaConnection, environment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("create", help="create what is missing")
    actions.add_parser("check", help="compare what is there")
    new_generation.add_arguments(actions.add_parser("new-generation", help=new_generation.HELP))


def run(arguments: argparse.Namespace) -> ExitCode:
    """OK when the topics are as they should be, DIFFERENCE otherwise (each difference on its own line)."""
    if arguments.action == "new-generation":
        return new_generation.run(arguments)
    connection = KafkaConnection.from_environ(environment())
    with admin_client(connection) as admin:
        if arguments.action == "create":
            for name in create(admin, connection):
                print(f"created {name}")
        found = differences(admin, connection)
    for difference in found:
        print(difference)
    if not found:
        print(f"{len(TOPICS)} topics are as they should be")
    return ExitCode.DIFFERENCE if found else ExitCode.OK


def create(admin: KafkaAdminClient, connection: KafkaConnection) -> list[str]:
    """Create the topics that do not exist and waits for their leaders; changes none that exists. Returns new names."""
    there = set(admin.list_topics())
    missing = {
        topic.name: {
            "num_partitions": topic.partition_count,
            "replication_factor": connection.replication_factor,
            "configs": wanted_settings(topic, connection),
        }
        for topic in TOPICS
        if topic.name not in there
    }
    if missing:
        # Somebody may have created one meanwhile; the check that follows judges it.
        with suppress(kafka.errors.TopicAlreadyExistsError):
            admin.create_topics(missing)
        admin.wait_for_topics(list(missing), timeout_ms=30_000)
    return list(missing)
