from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from kafka.admin import KafkaAdminClient

from ingestion.contract.brokers import Brokers
from jobs.checkup.topics import admin_client, differences, required_topics
from jobs.commands.topics import create
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings import KafkaConnection
from tests.kafka_topic import change_setting


@pytest.fixture
def connection(stack_environment: Mapping[str, str]) -> KafkaConnection:
    return KafkaConnection.from_environ(stack_environment)


@pytest.fixture
def admin(connection: KafkaConnection) -> Iterator[KafkaAdminClient]:
    with admin_client(connection) as client:
        yield client


def test_a_fresh_stack_has_every_topic_as_it_should_be(admin: KafkaAdminClient, connection: KafkaConnection) -> None:
    assert {topic.name for topic in required_topics(12)} <= set(admin.list_topics())
    assert differences(admin, connection) == []


def test_creating_again_changes_nothing(admin: KafkaAdminClient, connection: KafkaConnection) -> None:
    assert create(admin, connection) == []


def test_a_changed_setting_is_named_with_both_values_and_the_remedy(
    admin: KafkaAdminClient, connection: KafkaConnection
) -> None:
    change_setting(admin, "ad-views", "message.timestamp.type", "CreateTime")
    try:
        assert differences(admin, connection) == [
            "topic ad-views has message.timestamp.type=CreateTime instead of LogAppendTime; run kafka-configs --alter "
            "--topic ad-views --add-config message.timestamp.type=LogAppendTime"
        ]
    finally:
        change_setting(admin, "ad-views", "message.timestamp.type", "LogAppendTime")
    assert differences(admin, connection) == []


def test_more_replicas_than_wanted_or_fewer_are_a_difference_of_every_topic(
    admin: KafkaAdminClient, connection: KafkaConnection
) -> None:
    wanted = replace(connection, replication_factor=3)
    found = differences(admin, wanted)
    assert len(found) == len(required_topics(12))
    assert all("has 1 replicas instead of 3" in text for text in found)


def test_another_number_of_partitions_is_a_difference_with_its_remedy(
    admin: KafkaAdminClient, connection: KafkaConnection
) -> None:
    assert differences(admin, replace(connection, partition_count=24)) == [
        "topic video-views has 12 partitions instead of 24; set VIEWLEDGER_PARTITIONS to 12, or begin with an empty "
        "topic: in another number of partitions a key would change its own"
    ]


def test_a_broker_that_is_not_there_is_unavailable_in_one_sentence(
    stack: LocalStack, connection: KafkaConnection
) -> None:
    nobody = f"127.0.0.1:{stack.ports.api}"  # no process of ours runs in this stack
    with (
        pytest.raises(CommandError, match=rf"^Kafka at {nobody} .*VIEWLEDGER_KAFKA_BOOTSTRAP$") as caught,
        admin_client(replace(connection, brokers=Brokers.at(nobody)), within_ms=500),
    ):
        pytest.fail("a client was made")
    assert caught.value.code is ExitCode.UNAVAILABLE
