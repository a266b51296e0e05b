"""Asks whether HDFS answers, before anything waits for it."""

import socket
from urllib.parse import urlsplit

from ingestion.contract.unavailable import Part, UnavailableError


def check_hdfs(hdfs_url: str) -> None:
    """Fail at once if the NameNode is away; Hadoop's own client would retry for a minute."""
    parts = urlsplit(hdfs_url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 8020), timeout=5).close()
    except OSError as error:
        raise UnavailableError(Part.HDFS, f"HDFS at {hdfs_url} does not answer ({error.strerror or error})") from error
