"""Files of Hadoop's settings, as an administrator hands them out."""

from collections.abc import Mapping
from pathlib import Path


def write_hadoop_settings(folder: Path, settings: Mapping[str, str]) -> None:
    """Write `hdfs-site.xml`."""
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>\n" for name, value in settings.items()
    )
    (folder / "hdfs-site.xml").write_text(f"<configuration>\n{properties}</configuration>\n")
