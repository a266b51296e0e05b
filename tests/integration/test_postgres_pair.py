"""URLs with several servers and parameters, on a primary and a standby that let in by TLS and a certificate alone."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from faults.postgres_servers import PostgresPair
from ingestion.contract.postgres_address import PostgresAddress
from ingestion.contract.unavailable import UnavailableError
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import POSTGRES_URL
from jobs.wiring.backup_database import database_state, dump
from jobs.wiring.migrations import pending
from serving_layer.access.postgres_reads import PostgresReads
from tests.secure_postgres import secure_pair


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresPair, str]]:
    with secure_pair() as running:
        yield running


def is_standby(url: str) -> bool:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery() OR NOT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return bool((cursor.fetchone() or (True,))[0])


def test_the_primary_is_found_and_only_with_the_certificate(pair: tuple[PostgresPair, str]) -> None:
    running, url = pair
    assert not is_standby(url)
    assert pending(url) == ()
    with pytest.raises(psycopg2.OperationalError, match="certificate"):
        is_standby(running.url)


def test_a_backup_reads_on_the_server_that_has_its_snapshot(pair: tuple[PostgresPair, str], tmp_path: Path) -> None:
    running, url = pair
    with database_state(url) as state:
        assert f"127.0.0.1:{running.primary.port}/" in state.url
        assert str(running.standby.port) not in state.url
        dump(state, tmp_path / "dump")
    assert (tmp_path / "dump").read_bytes().startswith(b"PGDMP")


def test_doctor_looks_at_the_primary(
    pair: tuple[PostgresPair, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(POSTGRES_URL.name, pair[1])
    main(["doctor", "--json"])
    assert '"postgres"' in capsys.readouterr().out
    assert main(["migrate", "--check"]) == ExitCode.OK


def test_the_api_reads_nothing_on_a_standby(pair: tuple[PostgresPair, str]) -> None:
    running, url = pair
    address = PostgresAddress.of(url).at("127.0.0.1", running.standby.port)
    parameters = {name: value for name, value in address.parameters.items() if name != "target_session_attrs"}
    standby = replace(address, parameters=parameters).url
    assert is_standby(standby)
    with (
        closing(PostgresReads(standby)) as reads,
        pytest.raises(UnavailableError, match="standby here; name the primary, by target_session_attrs=primary"),
    ):
        reads.query("SELECT 1", ())


def test_a_server_that_accepts_and_is_silent_costs_one_read(pair: tuple[PostgresPair, str]) -> None:
    _, url = pair
    with socket.create_server(("127.0.0.1", 0)) as silent:
        first = url.replace("@", f"@127.0.0.1:{silent.getsockname()[1]},", 1)
        with closing(PostgresReads(first)) as reads:
            with pytest.raises(UnavailableError, match="no answer within 3 s"):
                reads.query("SELECT 1", ())
            assert reads.query("SELECT pg_is_in_recovery()", ()) == [(False,)]
