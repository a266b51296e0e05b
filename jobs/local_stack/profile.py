"""The folder of one stack: its files, its secrets, its settings for clients."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.local_stack.ports import Ports
from jobs.settings.state_home import state_home

LOGINS = {
    "sql": "viewledger_sql",
    "api": "api_process",
    "approver": "approver",
}
"""Whose work → the login of PostgreSQL that does it: processes, and the people whom one developer plays in turn."""


@dataclass(frozen=True)
class Profile:
    """One stack's folder. Servers' accounts may enter it; each data folder below belongs to one account alone."""

    folder: Path
    ports: Ports

    def __post_init__(self) -> None:
        for path in (self.folder, self.folder / "log", self.folder / "etc", self.folder / "prepared"):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755)

    def log(self, name: str) -> Path:
        """Return the log file of one child."""
        return self.folder / "log" / f"{name}.log"

    def write_config(self, name: str, content: str) -> Path:
        """Write a configuration file that servers may read (it must hold no secret)."""
        path = self.folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(content)
        path.chmod(0o644)
        return path

    def secret(self, name: str) -> str:
        """Return a random secret of this stack, made at first use, kept in a file only the starting user can read."""
        path = self.folder / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_hex(32)
            write_private(path, json.dumps(known))
        return known[name]

    def environment(self) -> dict[str, str]:
        """Return the settings by which clients and our processes reach this stack; holds secrets."""
        ports = self.ports
        password = self.secret("postgres_password")
        return {
            "VIEWLEDGER_KAFKA_BOOTSTRAP": f"127.0.0.1:{ports.kafka}",
            "VIEWLEDGER_REDIS_URL": f"redis://127.0.0.1:{ports.redis}/0",
            "VIEWLEDGER_POSTGRES_URL": f"postgresql://viewledger:{password}@127.0.0.1:{ports.postgres}/viewledger",
            **self._logins(),
            "VIEWLEDGER_HDFS_URL": f"hdfs://127.0.0.1:{ports.namenode}",
            "VIEWLEDGER_NAMENODE_HTTP_PORT": str(ports.namenode_http),
            "VIEWLEDGER_PSEUDONYM_KEY": self.secret("pseudonym_key"),
            "VIEWLEDGER_API_IMPORT": "1",
            "VIEWLEDGER_API_CURSOR_KEY": self.secret("api_cursor_key"),
            "VIEWLEDGER_LOCAL_ISSUER_SEED": self.secret("local_issuer_seed"),
            "VIEWLEDGER_STATE_DIR": str(self.folder),
            "VIEWLEDGER_JARS": str(state_home() / "jars" / "spark"),
            "VIEWLEDGER_SPARK_MASTER": "local[2]",
            "VIEWLEDGER_COLLECTOR_PORT": str(ports.collector),
            "VIEWLEDGER_API_PORT": str(ports.api),
            "VIEWLEDGER_SPEED_METRICS_PORT": str(ports.speed_metrics),
            "VIEWLEDGER_API_METRICS_PORT": str(ports.api_metrics),
            "VIEWLEDGER_COLLECTOR_METRICS_PORT": str(ports.collector_metrics),
            "VIEWLEDGER_SQL_PORT": str(ports.sql),
            "VIEWLEDGER_ICEBERG_PORT": str(ports.iceberg),
            "VIEWLEDGER_PORTAL_SECURE_COOKIES": "0",  # browsers come by http to this machine alone
            "VIEWLEDGER_SQL_URL": f"sc://127.0.0.1:{ports.sql}",
            "VIEWLEDGER_ICEBERG_URL": f"http://127.0.0.1:{ports.iceberg}",
        }

    def _logins(self) -> dict[str, str]:
        """Return settings with the URL of each login that is less than the one that migrates."""
        place = f"127.0.0.1:{self.ports.postgres}/viewledger"
        return {
            f"VIEWLEDGER_{name.upper()}_POSTGRES_URL": f"postgresql://{login}:{self.secret(f'{name}_password')}@{place}"
            for name, login in LOGINS.items()
        }


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step: a reader sees the old text or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(path)


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read."""
    write_atomically(path, text, 0o600)


def write_environment(folder: Path, environment: Mapping[str, str]) -> None:
    """Write `stack.env`: one NAME=value a line, readable by its owner only, fit for a shell's `source`."""
    write_private(folder / "stack.env", "".join(f"{name}={value}\n" for name, value in environment.items()))
