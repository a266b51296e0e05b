"""One SQL server on the batch layer's versions for every integration test that asks it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from tests.batch_on_stack import Batch
from tests.server_process import server_process


@dataclass(frozen=True)
class SqlProcess:
    """A running server and the settings by which clients reach it."""

    process_id: int
    environ: Mapping[str, str]


@pytest.fixture(scope="session")
def versions(batch: Batch) -> int:
    """The newest version; there are two at least."""
    while (published := newest(batch)) < 2:
        batch.send(5, number=7000 + 10 * published, video_id="-analysts--")
        batch.result("batch", "run")
    return published


def newest(batch: Batch) -> int:
    listed = batch.run("batch", "versions", "--json").stdout.splitlines()
    return max((json.loads(line)["version"] for line in listed), default=0)


@pytest.fixture(scope="session")
def sql_process(batch: Batch, versions: int) -> Iterator[SqlProcess]:
    """The server as an operator starts it; it ends with the session."""
    port = free_ports().sql
    settings = {**batch.environ, "VIEWLEDGER_SQL_PORT": str(port), "VIEWLEDGER_SQL_URL": f"sc://127.0.0.1:{port}"}
    with server_process("jobs.processes.sql", "VIEWLEDGER_ICEBERG_PORT", settings) as server:
        assert server.client.get("/readyz").status_code == 200
        yield SqlProcess(server.process.pid, settings | {"VIEWLEDGER_ICEBERG_URL": str(server.client.base_url)})
        assert server.stop() == ExitCode.OK


@pytest.fixture(scope="session")
def environ(sql_process: SqlProcess) -> Mapping[str, str]:
    """The settings by which clients reach the server."""
    return sql_process.environ
