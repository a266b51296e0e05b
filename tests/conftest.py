"""Fixtures that several folders of tests share: one local stack with every server for the whole run."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jobs.local_stack.stack import LocalStack


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave out Hypothesis's plugin where no test uses Hypothesis: it would import all of it to report nothing."""
    if "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")


@pytest.fixture(scope="session")
def stack() -> Iterator["LocalStack"]:
    """Kafka, Redis, PostgreSQL and HDFS on free ports in a folder of their own; topics and schema are there.

    It ends with the session, and with the test process if that is killed.
    """
    from jobs.local_stack.stack import LocalStack, temporary_folder  # only here: a unit test need not wait for it

    with temporary_folder() as folder, LocalStack.start(folder / "stack") as running:
        yield running


@pytest.fixture(scope="session")
def stack_environment(stack: "LocalStack") -> Mapping[str, str]:
    """Every VIEWLEDGER_* setting of the test stack, secrets included."""
    return stack.environment


@pytest.fixture(scope="session")
def kafka_bootstrap(stack_environment: Mapping[str, str]) -> str:
    """host:port of the broker; a test that counts records makes topics of its own."""
    return stack_environment["VIEWLEDGER_KAFKA_BOOTSTRAP"]


@pytest.fixture(scope="session")
def redis_url(stack_environment: Mapping[str, str]) -> str:
    """Redis database 0; a test uses another of the 64, or removes its own keys."""
    return stack_environment["VIEWLEDGER_REDIS_URL"]


@pytest.fixture(scope="session")
def postgres_url(stack_environment: Mapping[str, str]) -> str:
    """The migrated database; its role may create databases, so a test can have one of its own."""
    return stack_environment["VIEWLEDGER_POSTGRES_URL"]


@pytest.fixture(scope="session")
def hdfs_url(stack_environment: Mapping[str, str]) -> str:
    """hdfs://host:port of the NameNode; a test writes below a folder of its own."""
    return stack_environment["VIEWLEDGER_HDFS_URL"]


@pytest.fixture(scope="session")
def superuser_url(stack: "LocalStack") -> str:
    """The cluster's superuser, without a database: the product never uses it."""
    return stack.superuser_url
