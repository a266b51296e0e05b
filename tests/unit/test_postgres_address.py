"""What a URL of PostgreSQL leads to, for both clients; nothing connects."""

import random

import pytest
from psycopg2.extensions import parse_dsn

from batch_layer.lake.spark_settings import jdbc_catalog
from ingestion.contract.postgres_address import PostgresAddress
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import APPROVER_POSTGRES_URL, POSTGRES_URL
from jobs.wiring.postgres_logins import in_database

SEVERAL = (
    "postgresql://finance:p%40ss%2F1@one:5433,[::1],three.example:5434/vi%20ews?target_session_attrs=primary"
    "&sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=/c&sslkey=/k.pk8&channel_binding=require"
)


def read(url: str) -> str:
    return POSTGRES_URL.read({POSTGRES_URL.name: url})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h",
        "postgresql://h:1",
        "postgresql://u@h/d",
        "postgresql://u:p%40@10.0.0.1:6432/d",
        "postgresql://h/d?target_session_attrs=any",
        "postgresql://h/d?gssencmode=disable",
        SEVERAL,
    ],
)
def test_a_url_that_postgresql_can_have_is_taken_as_it_is(url: str) -> None:
    assert read(url) == url
    assert parse_dsn(url)


def test_the_other_spelling_and_sessions_that_write_are_the_same_place() -> None:
    found = read("postgres://u@one,two/d?target_session_attrs=read-write")
    assert found == "postgresql://u@one,two/d?target_session_attrs=primary"


def test_java_finds_the_same_servers_by_the_same_rules() -> None:
    found = jdbc_catalog(SEVERAL, "hdfs://views/warehouse")
    assert found["uri"] == (
        "jdbc:postgresql://one:5433,[::1],three.example:5434/vi%20ews?targetServerType=primary&sslmode=verify-full"
        "&sslrootcert=/etc/ca.pem&sslcert=/c&sslkey=/k.pk8&channelBinding=require"
    )
    assert (found["jdbc.user"], found["jdbc.password"]) == ("finance", "p@ss/1")
    assert (found["jdbc.connectTimeout"], found["jdbc.loginTimeout"]) == ("5", "15")


def test_every_address_is_written_so_that_postgresql_reads_it_as_it_was() -> None:
    letters = "aZ09-._~:/?#[]@!$&'()*+,;=%é \\\"|"
    rng = random.Random(20261129)
    for _ in range(500):
        user, password, database = ("".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(3))
        parameters = {"target_session_attrs": "primary", "sslrootcert": "/" + "".join(rng.choices(letters, k=5))}
        hosts = {"a:1": "a", "b.example": "b.example", "[fe80::1]:3": "fe80::1", "10.0.0.4:4": "10.0.0.4"}
        servers = tuple(rng.sample(tuple(hosts), rng.randint(1, 4)))
        address = PostgresAddress(servers, database, user, password, parameters)
        assert PostgresAddress.of(address.url) == address
        found = parse_dsn(address.url)
        assert (found["user"], found["password"], found["dbname"]) == (user, password, database)
        assert found["sslrootcert"] == parameters["sslrootcert"]
        assert found["host"] == ",".join(map(hosts.get, servers))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://u:secret@h/d", "is not a usable URL"),
        ("postgresql://", "is not a usable URL"),
        ("postgresql://u:secret@/d", "is not a usable URL"),
        ("postgresql://u:secret@h:0/d", "is not a usable URL"),
        ("postgresql://u:secret@h:65536/d", "is not a usable URL"),
        ("postgresql://u:secret@h:x/d", "is not a usable URL"),
        ("postgresql://u:sec/ret@h/d", "is not a usable URL"),
        ("postgresql://u:secret@more@h/d", "is not a usable URL"),
        ("postgresql://u:secret@h/d/e", "is not a usable URL"),
        ("postgresql://u:secret@h,/d?target_session_attrs=primary", "is not a usable URL"),
        ("postgresql://u:secret@h/d?sslmode=require&sslmode=disable", "is not a usable URL"),
        ("postgresql://u:secret@one,two/d", "names several servers without target_session_attrs=primary"),
        ("postgresql://u:secret@one,two/d?target_session_attrs=any", "names several servers without"),
        ("postgresql://u:secret@h/d?target_session_attrs=standby", "has a wrong target_session_attrs"),
        ("postgresql://u:secret@h/d?sslmode=secret", "has a wrong sslmode, which must be one of disable, allow"),
        ("postgresql://u:secret@h/d?sslrootcert=ca.pem", "has a wrong sslrootcert, which must be an absolute path"),
        ("postgresql://u:secret@h/d?options=-csecret", "has the parameter options, which viewledger sets itself"),
        ("postgresql://u:secret@h/d?connect_timeout=3", "has the parameter connect_timeout, which viewledger sets"),
        (
            "postgresql://u:secret@h/d?sslcrl=/secret",
            "has the parameter sslcrl, which is none of those that Java has as well: sslmode",
        ),
    ],
)
def test_a_wrong_url_is_refused_by_one_sentence_that_does_not_show_it(url: str, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        APPROVER_POSTGRES_URL.read({APPROVER_POSTGRES_URL.name: url})
    assert refused.value.code is ExitCode.BAD_INPUT
    sentence = str(refused.value)
    assert sentence.startswith(f"VIEWLEDGER_APPROVER_POSTGRES_URL {why}")
    assert "it must be like postgresql://user:password@host:port/database" in sentence
    assert "secret" not in sentence
    assert "ret@" not in sentence


def test_another_database_on_several_servers_keeps_every_login() -> None:
    environ = {"VIEWLEDGER_API_POSTGRES_URL": "postgresql://web:p%40s@h:1/a"}
    place = "postgresql://owner:q@one:1,two:2/b?target_session_attrs=primary&sslrootcert=/a%40b"
    moved = in_database(environ, place)
    assert moved["VIEWLEDGER_API_POSTGRES_URL"] == place.replace("owner:q", "web:p%40s")
