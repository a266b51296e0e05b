"""URLs with several servers and parameters, on a primary and a standby that let in by TLS and a certificate alone."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg2
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from batch_layer.lake.spark_postgres import read_postgres
from faults.postgres_servers import LOGIN, PostgresPair, postgres_pair
from ingestion.contract.unavailable import UnavailableError
from jobs.child.accounts import account_of
from jobs.cli import main
from jobs.exit_codes import ExitCode
from jobs.local_stack.postgres_server import private_file
from jobs.local_stack.stack import temporary_folder
from jobs.settings.declared.servers import POSTGRES_URL
from jobs.wiring.backup_database import database_state, dump
from jobs.wiring.migrations import migrate, pending
from serving_layer.access.postgres_reads import PostgresReads
from tests.certificates import Authority, Certified

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RULES = f"""
hostssl {LOGIN} {LOGIN} 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
host all postgres 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
"""


def key_of_java(certified: Certified) -> Path:
    """Return the file of a key in the form that both clients read."""
    key = load_pem_private_key(certified.key.read_bytes(), None)
    path = certified.key.with_suffix(".pk8")
    path.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresPair, str]]:
    """Return the two servers, and their URL with every parameter."""
    with temporary_folder() as folder:
        authority = Authority(folder / "certificates")
        own, account = authority.certify("server"), account_of("postgres")
        settings = {
            "ssl": "on",
            "ssl_cert_file": str(own.certificate),
            "ssl_key_file": str(private_file(folder / "server.key", own.key.read_text(), account)),
            "ssl_ca_file": str(authority.file),
            "hba_file": str(private_file(folder / "rules.conf", RULES, account)),
        }
        client = authority.certify("client")
        files = {"sslrootcert": authority.file, "sslcert": client.certificate, "sslkey": key_of_java(client)}
        parameters = "".join(f"&{name}={quote(str(path))}" for name, path in files.items())
        with postgres_pair(folder, settings) as running:
            url = f"{running.url}&sslmode=verify-full&channel_binding=require{parameters}"
            assert migrate(POSTGRES_URL.parse(url))
            yield running, POSTGRES_URL.parse(url)


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


def test_java_finds_the_same_primary(pair: tuple[PostgresPair, str], spark: "SparkSession") -> None:
    _, url = pair
    query = "SELECT n, pg_is_in_recovery() AS waits, inet_server_port() AS port FROM generate_series(1, 9) AS n"
    rows = read_postgres(spark, url, query, key="n").collect()
    assert sorted(row.n for row in rows) == list(range(1, 10))
    assert {(row.waits, row.port) for row in rows} == {(False, pair[0].primary.port)}


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


def test_a_server_that_accepts_and_is_silent_costs_one_read(pair: tuple[PostgresPair, str]) -> None:
    _, url = pair
    with socket.create_server(("127.0.0.1", 0)) as silent:
        first = url.replace("@", f"@127.0.0.1:{silent.getsockname()[1]},", 1)
        with closing(PostgresReads(first)) as reads:
            with pytest.raises(UnavailableError, match="no answer within 3 s"):
                reads.query("SELECT 1", ())
            assert reads.query("SELECT pg_is_in_recovery()", ()) == [(False,)]
