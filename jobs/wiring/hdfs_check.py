"""Asks whether HDFS answers, before anything waits for it."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.spark import HADOOP_CONF_DIR
from jobs.settings.own_environment import own_environment

PORT = 8020
_SECONDS_MAX = 5.0


def check_hdfs(hdfs_url: str) -> None:
    """Fail at once if no NameNode of the URL answers; Hadoop's own client would retry for a minute.

    Raises:
        UnavailableError: none does.
        CommandError: BAD_INPUT, the settings of a nameservice cannot be read.
    """
    reasons = []
    for host, port in namenodes(hdfs_url, HADOOP_CONF_DIR.read_if_set(own_environment())):
        try:
            socket.create_connection((host, port), timeout=_SECONDS_MAX).close()
        except OSError as error:
            reasons.append(error.strerror or str(error))
        else:
            return
    hint = ""
    if urlsplit(hdfs_url).port is None and len(reasons) == 1:
        hint = f"; if it is a nameservice, {HADOOP_CONF_DIR.name} must name the folder with its hdfs-site.xml"
    raise UnavailableError(Part.HDFS, f"HDFS at {hdfs_url} does not answer ({'; '.join(reasons)}){hint}")


def namenodes(hdfs_url: str, folder: Path | None) -> Sequence[tuple[str, int]]:
    """Return the NameNodes of a URL: those of the nameservice, if Hadoop's settings in `folder` know one of its name.

    Raises CommandError(BAD_INPUT).
    """
    parts = urlsplit(hdfs_url)
    name = parts.netloc
    known = _settings(folder / "hdfs-site.xml") if folder is not None and parts.port is None else {}
    if (listed := known.get(f"dfs.ha.namenodes.{name}")) is None:
        return [(parts.hostname or "", parts.port or PORT)]
    found = []
    for each in map(str.strip, listed.split(",")):
        setting = f"dfs.namenode.rpc-address.{name}.{each}"
        host, _, port = known.get(setting, "").rpartition(":")
        if not host or not port.isdecimal():
            raise CommandError(
                f"{folder}/hdfs-site.xml lacks {setting} as host:port, which the nameservice {name} needs",
                ExitCode.BAD_INPUT,
            )
        found.append((host, int(port)))
    return found


def _settings(path: Path) -> Mapping[str, str]:
    """Return the settings in a file of Hadoop's; none if there is no such file."""
    if not path.exists():
        return {}
    try:
        properties = ElementTree.parse(path).iter("property")  # noqa: S314  written by the operator
    except (OSError, ElementTree.ParseError) as error:
        raise CommandError(f"{path} cannot be read: {error}", ExitCode.BAD_INPUT) from error
    return {(each.findtext("name") or "").strip(): (each.findtext("value") or "").strip() for each in properties}
