"""Which NameNodes a URL of HDFS leads to, and the sentence when none answers."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.hdfs_check import check_hdfs, namenodes
from tests.hadoop_settings import write_hadoop_settings

VIEWS = {
    "dfs.nameservices": "views",
    "dfs.ha.namenodes.views": "nn1, nn2",
    "dfs.namenode.rpc-address.views.nn1": "one.example:8020",
    "dfs.namenode.rpc-address.views.nn2": "two.example:9820",
}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("hdfs://views", [("one.example", 8020), ("two.example", 9820)]),
        ("hdfs://views:8020", [("views", 8020)]),
        ("hdfs://other", [("other", 8020)]),
        ("hdfs://one.example:9000", [("one.example", 9000)]),
    ],
)
def test_a_name_without_a_port_is_looked_for_among_the_nameservices(
    tmp_path: Path, url: str, found: list[tuple[str, int]]
) -> None:
    write_hadoop_settings(tmp_path, VIEWS)
    assert namenodes(url, tmp_path) == found


def test_without_settings_of_hadoop_a_name_is_a_host(tmp_path: Path) -> None:
    assert namenodes("hdfs://views", None) == namenodes("hdfs://views", tmp_path) == [("views", 8020)]


@pytest.mark.parametrize("address", [{}, {"dfs.namenode.rpc-address.views.nn2": "two.example"}])
def test_a_nameservice_without_its_addresses_is_refused(tmp_path: Path, address: Mapping[str, str]) -> None:
    known = {name: value for name, value in VIEWS.items() if not name.endswith("nn2")}
    write_hadoop_settings(tmp_path, {**known, **address})
    with pytest.raises(CommandError, match=r"hdfs-site\.xml lacks dfs\.namenode\.rpc-address\.views\.nn2") as refused:
        namenodes("hdfs://views", tmp_path)
    assert refused.value.code is ExitCode.BAD_INPUT


def test_a_file_of_settings_that_is_not_xml_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "hdfs-site.xml").write_text("<configuration><property>")
    with pytest.raises(CommandError, match=r"hdfs-site\.xml cannot be read: no element found") as refused:
        namenodes("hdfs://views", tmp_path)
    assert refused.value.code is ExitCode.BAD_INPUT


def test_one_namenode_that_answers_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as there:
        places = {"nn1": "127.0.0.1:1", "nn2": f"127.0.0.1:{there.getsockname()[1]}"}
        write_hadoop_settings(
            tmp_path, {**VIEWS, **{f"dfs.namenode.rpc-address.views.{name}": at for name, at in places.items()}}
        )
        check_hdfs("hdfs://views")
    with pytest.raises(UnavailableError) as away:
        check_hdfs("hdfs://views")
    assert away.value.part is Part.HDFS
    assert str(away.value) == ("HDFS at hdfs://views does not answer (Connection refused; Connection refused)")


def test_a_name_that_nobody_knows_may_be_a_nameservice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HADOOP_CONF_DIR", raising=False)
    with pytest.raises(UnavailableError, match=r"if it is a nameservice, HADOOP_CONF_DIR must name the folder"):
        check_hdfs("hdfs://none-such.invalid")
