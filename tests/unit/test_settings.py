from pathlib import Path
from typing import Any, get_args

import pytest

from ingestion.contract.brokers import Brokers
from ingestion.contract.topics import TOPIC_DEAD_LETTERS, TOPIC_VIDEO_VIEWS
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.connections import ConnectionLimits
from jobs.local_stack.ports import OFFSETS, Ports, fixed_ports
from jobs.settings import KafkaConnection, Login, PostgresConnection, RedisConnection, layered, login_setting
from jobs.settings.address_kinds import Addresses, HostPorts, Origins, SparkMaster, Url
from jobs.settings.declared import SECTIONS, SETTINGS, api, machine, pipeline, servers
from jobs.settings.kinds import Flag, Names, Number, Setting, Text, Whole
from jobs.settings.page import PAGE, page
from serving_layer.access.jwt_tokens import ALGORITHMS
from speed_layer.redis_calls import NAMESPACE
from speed_layer.redis_segment_store import UNKNOWN_VIDEOS_MAX

OF_NOBODY = {"read_by": "a test", "meaning": "something"}
SIZE = Whole("SIZE", default=5, least=1, most=10, **OF_NOBODY)
SHARE = Number("SHARE", default=1.0, least=0, most=1, **OF_NOBODY)
ON = Flag("ON", default=False, **OF_NOBODY)
URL = Url("URL", schemes=("postgresql",), **OF_NOBODY)
BROKERS = HostPorts("BROKERS", **OF_NOBODY)
ORIGINS = Origins("ORIGINS", default=(), **OF_NOBODY)
ADDRESSES = Addresses("ADDRESSES", default=(), **OF_NOBODY)
MASTER = SparkMaster("MASTER", **OF_NOBODY)
COLOURS = Names("COLOURS", known=("red", "blue"), default=("red",), **OF_NOBODY)
KEY = Text("KEY", pattern="[0-9a-f]{4}", form="4 hexadecimal digits", is_secret=True, **OF_NOBODY)


@pytest.mark.parametrize("text", ["0", "11", "x", "1.0", "+3", " 3", "٣", "1e1", "9" * 30])
def test_a_number_out_of_range_or_not_a_number_names_the_variable_the_value_and_the_range(text: str) -> None:
    with pytest.raises(CommandError, match=r"^SIZE is .* whole number from 1 to 10$") as caught:
        SIZE.read({"SIZE": text})
    assert repr(text) in str(caught.value)
    assert caught.value.code is ExitCode.BAD_INPUT


def test_a_file_that_was_pasted_is_repeated_by_its_beginning_alone() -> None:
    for setting in (SIZE, BROKERS):
        with pytest.raises(CommandError) as caught:
            setting.read({setting.name: " broker" * 100_000})
        assert len(str(caught.value)) < 400


def test_numbers_within_the_range_are_read_and_missing_or_empty_ones_are_the_default() -> None:
    assert [SIZE.read(each) for each in ({"SIZE": "1"}, {"SIZE": "10"}, {}, {"SIZE": ""})] == [1, 10, 5, 5]
    assert [SIZE.read_if_set(each) for each in ({"SIZE": "1"}, {}, {"SIZE": ""})] == [1, None, None]
    assert [SIZE.is_set(each) for each in ({"SIZE": "x"}, {}, {"SIZE": ""})] == [True, False, False]


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (SHARE, "0.25", 0.25),
        (ON, "1", True),
        (ON, "0", False),
        (ADDRESSES, "10.0.0.1, ::1", ("10.0.0.1", "::1")),
        (ORIGINS, "*", ("*",)),
        (
            ORIGINS,
            "https://Www.example.com:443,http://[::1]:8080, http://a:80, https://a:80",
            ("https://www.example.com", "http://[::1]:8080", "http://a", "https://a:80"),
        ),
        (COLOURS, "blue, red", ("blue", "red")),
        (BROKERS, "a:1, b:2", ("a:1", "b:2")),
        (URL, "postgresql://h:1/d", "postgresql://h:1/d"),
        *[(MASTER, each, each) for each in ("local[2]", "local[*]", "spark://a:7077", "spark://a:1,b:2", "yarn")],
    ],
)
def test_each_kind_reads_its_own_values(setting: Setting[Any], text: str, value: object) -> None:
    assert setting.read({setting.name: text}) == value


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (SHARE, "nan"),
        (SHARE, "1.1"),
        (ON, "yes"),
        (ADDRESSES, "10.0.0.1,proxy"),
        *[
            (ORIGINS, f"https://{each}")
            for each in ("", "a.b/", "a.b/path", "a.b?q", "a.b#f", "u@a.b", "a.b:0", "a.b:x", "é.b", "[", "*", "a,")
        ],
        *[
            (ORIGINS, each)
            for each in ("null", "a.b", "ftp://a.b", "*,*", "*.a.b", "https://*.a.b", "https://a.b,*", " ")
        ],
        (COLOURS, "green"),
        (COLOURS, "red,"),
        *[
            (MASTER, each)
            for each in ("local", "local[0]", "spark://a", "spark://a:0", "spark://a:1,", "k8s://a:1", "Yarn")
        ],
        *[(BROKERS, each) for each in ("host", ":1", "host:0", "host:65536", "a:1,,b:2", "a:x")],
    ],
)
def test_each_kind_refuses_what_it_does_not_allow_and_says_what_it_allows(setting: Setting[Any], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        setting.read({setting.name: text})
    assert str(caught.value) == f"{setting.name} is {text!r}; it must be {setting.allowed}"


@pytest.mark.parametrize(
    "setting", [servers.TOPIC_VIDEO_VIEWS, pipeline.RECEIPT_KEYS_FILE], ids=lambda setting: setting.name
)
@pytest.mark.parametrize("text", [" ", "views\r", " views", "views\n"])
def test_white_space_around_a_name_is_seen_before_a_server_misses_the_name(setting: Setting[Any], text: str) -> None:
    with pytest.raises(CommandError, match=f"{setting.name} is .*; leave out the white space around it"):
        setting.read({setting.name: text})
    assert str(setting.read({setting.name: text.strip() or "views"})) == "views"


def test_a_missing_setting_is_named_with_a_remedy() -> None:
    with pytest.raises(
        CommandError,
        match=r"^VIEWLEDGER_REDIS_URL is not set; set it, .* none is running .*viewledger up, .*demo --keep",
    ):
        servers.REDIS_URL.read({})


@pytest.mark.parametrize(
    "value", ["postgresql://", "mysql://u:secret@h/d", "secret", "postgresql://h:0/", "postgresql://[h/"]
)
def test_a_bad_url_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(CommandError) as caught:
        URL.read({"URL": value})
    assert "secret" not in str(caught.value)
    assert "postgresql://host:port" in str(caught.value)


def test_a_wrong_secret_is_refused_without_repeating_it() -> None:
    with pytest.raises(CommandError, match=r"^KEY has a wrong value; it must be 4 hexadecimal digits$"):
        KEY.read({"KEY": "sesame"})


def test_a_secret_is_read_from_the_file_that_its_setting_names(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("0a1b\n")
    assert KEY.read({"KEY_FILE": str(file)}) == "0a1b"
    assert KEY.is_set({"KEY_FILE": str(file)})
    assert KEY.read_if_set({"KEY_FILE": "", "KEY": "0a1b"}) == "0a1b"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"^KEY_FILE names a file that cannot be read: '.*key' \(No such file or directory\); name a readable"),
        (b"", r"^KEY_FILE names an empty file: '.*key'; write the secret to it$"),
        (b"\n", r"^KEY_FILE names an empty file"),
        (b"\xff\xfe", r"^KEY_FILE names a file that cannot be read: '.*key' \(it is not text\)"),
        (b"sesame", r"^KEY has a wrong value; it must be 4 hexadecimal digits$"),
    ],
)
def test_a_secret_that_no_file_holds_is_refused_in_one_sentence(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError, match=sentence) as caught:
        KEY.read({"KEY_FILE": str(file)})
    assert caught.value.code is ExitCode.BAD_INPUT


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^KEY and KEY_FILE are both set; set one of them$"):
        KEY.read({"KEY": "0a1b", "KEY_FILE": str(tmp_path)})


def test_what_is_not_a_secret_is_not_read_from_a_file(tmp_path: Path) -> None:
    assert not SIZE.is_set({"SIZE_FILE": str(tmp_path)})
    assert SIZE.read({"SIZE_FILE": str(tmp_path)}) == SIZE.default


def test_an_upper_environment_replaces_both_forms_of_what_it_sets() -> None:
    below = {"A": "1", "B_FILE": "/b", "C": "3"}
    assert layered(below, {"A_FILE": "/a", "B": "2"}) == {"A_FILE": "/a", "B": "2", "C": "3"}


def test_the_file_of_a_secret_has_a_name_of_its_own() -> None:
    assert not {f"{name}_FILE" for name, each in SETTINGS.items() if each.is_secret} & set(SETTINGS)


def test_a_name_is_declared_once() -> None:
    assert len(SETTINGS) == sum(map(len, SECTIONS.values())) > 80


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_default_is_a_value_that_the_setting_takes(setting: Setting[Any]) -> None:
    assert setting.read_by
    assert setting.meaning
    if setting.default is None:
        return
    assert not setting.is_secret, "a secret has no default"
    assert not setting.without, "either a default, or what holds without one"
    text = setting.text(setting.default)
    assert (setting.parse(text) if text else ()) == setting.default


def test_the_defaults_are_those_of_the_layers() -> None:
    assert servers.TOPIC_VIDEO_VIEWS.default == TOPIC_VIDEO_VIEWS
    assert servers.TOPIC_DEAD_LETTERS.default == TOPIC_DEAD_LETTERS
    assert servers.SPEED_NAMESPACE.default == NAMESPACE
    assert pipeline.SPEED_UNKNOWN_VIDEOS_MAX.default == UNKNOWN_VIDEOS_MAX
    assert api.OIDC_ALGORITHMS.known == ALGORITHMS
    assert ConnectionLimits.from_environ({}) == ConnectionLimits()
    assert machine.PORT_BASE.most == 65_535 - max(OFFSETS)


def test_every_login_has_a_setting() -> None:
    assert {login_setting(each) for each in get_args(Login)} <= set(SETTINGS)


def test_the_page_is_what_the_declarations_say() -> None:
    assert PAGE.read_text() == page(), "write it: python -m jobs.settings.page"


def test_connections_are_read_from_the_environment() -> None:
    kafka = KafkaConnection.from_environ(
        {"VIEWLEDGER_KAFKA_BOOTSTRAP": "a:1, b:2", "VIEWLEDGER_REPLICATION_FACTOR": "3"}
    )
    assert kafka == KafkaConnection(Brokers(("a:1", "b:2")), 12, replication_factor=3, min_insync_replicas=1)
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


@pytest.mark.parametrize("base", ["80", "65530", "x"])
def test_a_bad_base_of_ports_is_refused(base: str) -> None:
    with pytest.raises(CommandError, match="VIEWLEDGER_PORT_BASE"):
        fixed_ports({"VIEWLEDGER_PORT_BASE": base})
