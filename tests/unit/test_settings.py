from collections.abc import Callable, Mapping

import pytest

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import Ports, fixed_ports
from jobs.settings import (
    KafkaConnection,
    PostgresConnection,
    RedisConnection,
    decimal,
    flag,
    host_ports,
    integer,
    required,
    url,
)


@pytest.mark.parametrize("text", ["0", "11", "x", "1.0", "+3", " 3", "٣", "1e1", "9" * 30])
def test_a_number_out_of_range_or_not_a_number_names_the_variable_the_value_and_the_range(text: str) -> None:
    with pytest.raises(CommandError, match=r"^SIZE is .* whole number from 1 to 10$") as caught:
        integer({"SIZE": text}, "SIZE", default=5, least=1, most=10)
    assert repr(text) in str(caught.value)
    assert caught.value.code is ExitCode.BAD_INPUT


def test_numbers_within_the_range_are_read_and_missing_or_empty_ones_are_the_default() -> None:
    def read(environ: Mapping[str, str]) -> int:
        return integer(environ, "SIZE", default=5, least=1, most=10)

    assert [read({"SIZE": "1"}), read({"SIZE": "10"}), read({}), read({"SIZE": ""})] == [1, 10, 5, 5]


def test_decimals_and_flags_are_as_strict() -> None:
    assert decimal({"SHARE": "0.25"}, "SHARE", default=1, least=0, most=1) == 0.25
    assert flag({"ON": "1"}, "ON", default=False) is True
    for read in (
        lambda: decimal({"SHARE": "nan"}, "SHARE", default=1, least=0, most=1),
        lambda: flag({"ON": "yes"}, "ON", default=False),
    ):
        check: Callable[[], object] = read
        with pytest.raises(CommandError):
            check()


def test_a_missing_setting_is_named_with_a_remedy() -> None:
    with pytest.raises(CommandError, match=r"^VIEWLEDGER_REDIS_URL is not set; .*viewledger up"):
        required({}, "VIEWLEDGER_REDIS_URL")


@pytest.mark.parametrize(
    "value", ["postgresql://", "mysql://u:secret@h/d", "secret", "postgresql://h:0/", "postgresql://[h/"]
)
def test_a_bad_url_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(CommandError) as caught:
        url({"URL": value}, "URL", schemes=("postgresql",))
    assert "secret" not in str(caught.value)
    assert "postgresql://host:port" in str(caught.value)


@pytest.mark.parametrize("value", ["host", ":1", "host:0", "host:65536", "a:1,,b:2", "a:x"])
def test_bad_broker_addresses_are_refused(value: str) -> None:
    with pytest.raises(CommandError, match="must be host:port"):
        host_ports({"BROKERS": value}, "BROKERS")


def test_connections_are_read_from_the_environment() -> None:
    kafka = KafkaConnection.from_environ(
        {"VIEWLEDGER_KAFKA_BOOTSTRAP": "a:1, b:2", "VIEWLEDGER_REPLICATION_FACTOR": "3"}
    )
    assert kafka == KafkaConnection(("a:1", "b:2"), replication_factor=3, min_insync_replicas=1)
    assert RedisConnection.from_environ({"VIEWLEDGER_REDIS_URL": "redis://h:1/0"}).url == "redis://h:1/0"


def test_more_in_sync_replicas_than_replicas_are_refused() -> None:
    with pytest.raises(CommandError, match=r"VIEWLEDGER_MIN_INSYNC_REPLICAS is '2'.* from 1 to 1"):
        KafkaConnection.from_environ({"VIEWLEDGER_KAFKA_BOOTSTRAP": "a:1", "VIEWLEDGER_MIN_INSYNC_REPLICAS": "2"})


def test_a_password_does_not_show_when_a_connection_is_printed() -> None:
    assert "secret" not in repr(PostgresConnection("postgresql://u:secret@h/d"))


def test_the_block_of_ports_moves_as_a_whole_and_holds_no_port_twice() -> None:
    ports = fixed_ports({"VIEWLEDGER_PORT_BASE": "20000"})
    assert ports == Ports(*(number - 17070 + 20000 for number in fixed_ports({}).by_name().values()))
    assert len(set(ports.by_name().values())) == len(ports.by_name())


@pytest.mark.parametrize("base", ["", "80", "65530", "x"])
def test_a_bad_base_of_ports_is_refused(base: str) -> None:
    with pytest.raises(CommandError, match="VIEWLEDGER_PORT_BASE"):
        fixed_ports({"VIEWLEDGER_PORT_BASE": base})
