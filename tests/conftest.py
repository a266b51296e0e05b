"""Fixtures that several folders of tests share: one local stack with every server for the whole run."""

import ctypes
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.plan import part_of, path_of, place_of

if TYPE_CHECKING:
    from jobs.local_stack.stack import LocalStack

STACK_SECONDS_MAX = 180.0
PR_SET_PDEATHSIG = 1


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave out Hypothesis's plugin where no test uses Hypothesis: it would import all of it to report nothing."""
    if "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let several test processes share one stack."""
    parser.addoption("--stack", metavar="FOLDER", help="use the stack that is or will be in this folder")


def pytest_configure(config: pytest.Config) -> None:
    """Let one of several test processes end with the one that leads them, which shows failures as they come."""
    if is_one_of_several(config):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    elif config.getoption("numprocesses", None):
        config.pluginmanager.register(FailuresAtOnce(config))


class FailuresAtOnce:
    """Shows each failure when it comes: a long run may be ended before its summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the failure."""
        if report.failed:
            terminal: Any = self._plugins.get_plugin("terminalreporter")
            terminal.write_line(f"\nFAILED {report.nodeid}\n{report.longreprtext}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several test processes: what takes longest begins."""
    if is_one_of_several(config):
        items.sort(key=lambda item: place_of(path_of(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what hands the parts of the plan to whichever process is free."""
    from xdist.scheduler import LoadScopeScheduling

    class PartScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return part_of(path_of(nodeid))

    return PartScheduling(config, log)


def is_one_of_several(config: pytest.Config) -> bool:
    """Whether pytest-xdist started this process."""
    return hasattr(config, "workerinput")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator["LocalStack"]:
    """Kafka, Redis, PostgreSQL and HDFS on free ports in a folder of their own; topics and schema are there.

    It ends with the session, and with the test process if that is killed; one of several processes shares theirs.
    No test stops a server of it.
    """
    from jobs.local_stack.stack import LocalStack, temporary_folder  # only here: a unit test need not wait for it

    if shared := request.config.getoption("--stack"):
        yield shared_stack(Path(shared))
        return
    with temporary_folder() as folder, LocalStack.start(folder / "stack"):
        yield shared_stack(folder / "stack")


def of_others(*_words: object, **_settings: object) -> NoReturn:
    """Refuse: other tests need the server at the same moment, and fail by chance."""
    raise AssertionError("other tests use this server; stop one that the test has started itself")


def shared_stack(folder: Path) -> "LocalStack":
    """Return the stack in a folder as soon as it is ready, without what stops its servers."""
    from jobs.local_stack.stack import LocalStack, read_report

    deadline = time.monotonic() + STACK_SECONDS_MAX
    while read_report(folder).get("state") != "ready":
        assert time.monotonic() < deadline, f"the stack in {folder} was not ready in time"
        time.sleep(0.1)
    running = LocalStack.attach(folder)
    assert running is not None, f"the stack in {folder} has ended"
    for name in ("kill", "restart", "stop"):
        setattr(running, name, of_others)
    return running


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
def sentinel_url() -> Iterator[str]:
    """A Redis and its replica, watched by three Sentinels; a test removes its own keys."""
    from faults.redis_sets import SentinelSet
    from tests.redis_set import running

    with running(SentinelSet) as watched:
        yield watched.url


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A Redis Cluster of three masters with a replica each; a test removes its own keys."""
    from faults.redis_sets import Cluster
    from tests.redis_set import running

    with running(Cluster) as cluster:
        yield cluster.url


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
