"""How a fault run's servers and settings are chosen, and how a take-over is measured; no server is started."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaError

from faults import command, hdfs_cluster_faults, kafka_faults, postgres_pair_faults
from faults.hdfs_cluster import HdfsCluster
from faults.kafka_cluster import NODES, KafkaCluster
from faults.postgres_pair_faults import day_of
from faults.scene_settings import scene_settings
from faults.servers import Servers
from faults.taking_over import TAKEN_OVER_SECONDS_MAX, counts_again, taken_over
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.resilience.failpoints import VARIABLE
from jobs.settings.brokers import read_brokers
from jobs.wiring.hdfs_check import namenodes

STACK = {
    "VIEWLEDGER_POSTGRES_URL": "postgresql://viewledger:x@127.0.0.1:5432/viewledger",
    "VIEWLEDGER_API_POSTGRES_URL": "postgresql://api_process:y@127.0.0.1:5432/viewledger",
    "VIEWLEDGER_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "VIEWLEDGER_HDFS_URL": "hdfs://127.0.0.1:8020",
}
PAIR = "postgresql://viewledger:x@127.0.0.1:2,127.0.0.1:1/own?target_session_attrs=primary"


def servers(**others: Any) -> Servers:
    return Servers(SimpleNamespace(environment=STACK), lambda: None, **others)  # type: ignore[arg-type, return-value]


def settings_of(of: Servers, folder: Path, postgres_url: str = STACK["VIEWLEDGER_POSTGRES_URL"]) -> dict[str, str]:
    return scene_settings(of, "own", folder, "redis://127.0.0.1:1/0", postgres_url)


def test_a_run_has_a_warehouse_and_topics_of_its_own_on_the_usual_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "speed.after_apply:kill@1")
    found = settings_of(servers(), tmp_path)
    assert found["VIEWLEDGER_WAREHOUSE"] == "hdfs://127.0.0.1:8020/own"
    assert (found["VIEWLEDGER_TOPIC_VIDEO_VIEWS"], found["VIEWLEDGER_TOPIC_DEAD_LETTERS"]) == ("own", "own-dlq")
    assert found["VIEWLEDGER_KAFKA_BOOTSTRAP"] == "127.0.0.1:9092"
    assert VARIABLE not in found


def test_every_login_of_a_run_on_a_pair_finds_the_primary(tmp_path: Path) -> None:
    found = settings_of(servers(), tmp_path, PAIR)
    assert found["VIEWLEDGER_POSTGRES_URL"] == PAIR
    assert found["VIEWLEDGER_API_POSTGRES_URL"] == PAIR.replace("viewledger:x", "api_process:y")


def test_three_brokers_are_reached_by_tls_and_by_the_harness_without(tmp_path: Path) -> None:
    cluster = KafkaCluster(tmp_path / "kafka")
    found = settings_of(servers(cluster=cluster), tmp_path)
    brokers = read_brokers(found)
    assert brokers.has_tls
    assert len(brokers.addresses) == len(NODES)
    assert not set(brokers.addresses) & set(cluster.bootstrap.split(","))
    text = cluster._write_config(1).read_text()
    assert "inter.broker.listener.name=TLS\n" in text
    assert "listener.security.protocol.map=PLAIN:PLAINTEXT,TLS:SSL,CONTROLLER:SSL\n" in text
    assert "min.insync.replicas=2\n" in text


def test_an_hdfs_of_several_nodes_is_reached_by_its_nameservice(tmp_path: Path) -> None:
    hdfs = HdfsCluster(tmp_path / "hdfs")
    found = settings_of(servers(hdfs=hdfs), tmp_path)
    assert found["VIEWLEDGER_WAREHOUSE"] == "hdfs://views/own"
    places = namenodes(found["VIEWLEDGER_HDFS_URL"], Path(found["HADOOP_CONF_DIR"]))
    assert len(set(places)) == 2
    assert hdfs.active() is None, "nothing was started"
    assert not hdfs.keeps_files()


def test_a_fault_gets_the_servers_that_it_needs() -> None:
    all_servers = SimpleNamespace(
        usual=lambda: servers(),
        on_three_brokers=lambda: "brokers",
        on_hdfs_cluster=lambda: "hdfs",
        on_small_disks=lambda: "disks",
    )

    def of(name: str) -> Any:
        return command.servers_of(name, all_servers)  # type: ignore[arg-type]

    assert {of(name) for name in hdfs_cluster_faults.FAULTS} == {"hdfs"}
    assert {of(name) for name in kafka_faults.ON_THREE_BROKERS} == {"brokers"}
    assert all(of(name).postgres_pair is not None for name in postgres_pair_faults.FAULTS)
    assert of("speed-zombie").postgres_pair is None


class FakeScene:
    """A scene on which a fault happened some seconds ago."""

    def __init__(self, *, seconds_ago: float = 0.0) -> None:
        self.hurt_at, self.notes = time.monotonic() - seconds_ago, list[str]()
        self.ends: list[Any] = [KafkaError("no leader"), [5, 7], [9, 9]]
        self.counted: list[Any] = [[5, 6], UnavailableError(Part.REDIS, "away"), [5, None], [5, 7]]

    def wait(self, holds: Callable[[], object], what: str) -> None:
        for _ in range(10):
            if holds():
                return
        raise AssertionError(what)

    def highwaters(self) -> Any:
        return _next(self.ends)

    def positions(self) -> Any:
        return _next(self.counted)


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_a_take_over_is_noted_and_a_slow_one_is_a_failure() -> None:
    scene = FakeScene(seconds_ago=4.0)
    taken_over(scene, lambda: True, "it answers")  # type: ignore[arg-type]
    assert scene.notes == ["it answers after 4.0 s"]
    slow = FakeScene(seconds_ago=TAKEN_OVER_SECONDS_MAX + 1)
    with pytest.raises(AssertionError, match=r"it answers after 31\.0 s; 30 s are promised"):
        taken_over(slow, lambda: True, "it answers")  # type: ignore[arg-type]


def test_counted_again_is_up_to_the_first_ends_that_could_be_asked() -> None:
    scene = FakeScene()
    counts_again(scene)  # type: ignore[arg-type]
    assert scene.counted == []
    assert scene.ends == [[9, 9]]


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (b'{"timestamp":"2026-11-25T23:30:00-02:00"}', "2026-11-26"),
        (b'{"timestamp":"2026-11-25T23:30:00+00:00"}', "2026-11-25"),
        (b'{"timestamp":1}', ""),
        (b"null", ""),
        (b"\xff", ""),
    ],
)
def test_the_day_of_a_message_is_that_of_its_event_in_utc(value: bytes, day: str) -> None:
    assert day_of(value) == day
