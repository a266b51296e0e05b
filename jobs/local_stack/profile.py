"""The folder of one stack: its files, its secrets, its settings for clients."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.local_stack.ports import Ports
from jobs.settings import login_setting
from jobs.settings.declared import api, listening, pipeline, servers, spark
from jobs.settings.state_home import state_home

LOGINS = {
    "sql": "viewledger_sql",
    "api": "api_process",
    "approver": "approver",
    "reviewer": "reviewer",
}
"""Owner of the work → its PostgreSQL login: processes, and the people whose roles one developer takes in turn."""


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
        """Write a configuration file that servers may read (without secrets)."""
        path = self.folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(content)
        path.chmod(0o644)
        return path

    def secret(self, name: str) -> str:
        """Return a random secret of this stack, created at first use, in a file that only its owner can read."""
        path = self.folder / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_hex(32)
            write_private(path, json.dumps(known))
        return known[name]

    def environment(self) -> dict[str, str]:
        """Return the settings by which clients and our processes reach this stack, including secrets."""
        ports = self.ports
        password = self.secret("postgres_password")
        return {
            servers.KAFKA_BOOTSTRAP.name: f"127.0.0.1:{ports.kafka}",
            servers.REDIS_URL.name: f"redis://127.0.0.1:{ports.redis}/0",
            servers.POSTGRES_URL.name: f"postgresql://viewledger:{password}@127.0.0.1:{ports.postgres}/viewledger",
            **self._logins(),
            servers.HDFS_URL.name: f"hdfs://127.0.0.1:{ports.namenode}",
            servers.NAMENODE_HTTP_PORT.name: str(ports.namenode_http),
            pipeline.PSEUDONYM_KEY.name: self.secret("pseudonym_key"),
            pipeline.TRAITS_KEY.name: self.secret("traits_key"),
            pipeline.PLAY_KEYS_FILE.name: str(self._key_file("play")),
            pipeline.ATTESTATION_KEYS_FILE.name: str(self._key_file("attestation")),
            pipeline.RECEIPT_KEYS_FILE.name: str(self._receipt_keys()),
            api.API_IMPORT.name: "1",
            api.API_CURSOR_KEY.name: self.secret("api_cursor_key"),
            api.LOCAL_ISSUER_SEED.name: self.secret("local_issuer_seed"),
            pipeline.STATE_DIR.name: str(self.folder),
            spark.JARS.name: str(state_home() / "jars" / "spark"),
            spark.SPARK_MASTER.name: "local[2]",
            listening.COLLECTOR_PORT.name: str(ports.collector),
            listening.COLLECTOR_EVENTS_PER_NETWORK.name: "0",  # all senders of a local stack share one address
            listening.API_PORT.name: str(ports.api),
            listening.SPEED_METRICS_PORT.name: str(ports.speed_metrics),
            listening.API_METRICS_PORT.name: str(ports.api_metrics),
            listening.COLLECTOR_METRICS_PORT.name: str(ports.collector_metrics),
            listening.BATCH_METRICS_PORT.name: str(ports.batch_metrics),
            listening.SQL_PORT.name: str(ports.sql),
            listening.ICEBERG_PORT.name: str(ports.iceberg),
            api.PORTAL_SECURE_COOKIES.name: "0",  # browsers come by http to this machine alone
            servers.SQL_URL.name: f"sc://127.0.0.1:{ports.sql}",
            servers.ICEBERG_URL.name: f"http://127.0.0.1:{ports.iceberg}",
        }

    def _key_file(self, purpose: str) -> Path:
        """Return the file with the stack's one key for a purpose, which is written at first use."""
        path = self.folder / f"{purpose}-keys.json"
        if not path.exists():
            secret = base64.urlsafe_b64encode(bytes.fromhex(self.secret(f"{purpose}_key"))).rstrip(b"=").decode()
            write_private(path, json.dumps({"keys": [{"kid": "local", "kty": "oct", "alg": "HS256", "k": secret}]}))
        return path

    def _receipt_keys(self) -> Path:
        """Return the file with the stack's key of receipts, which is written at first use."""
        path = self.folder / "receipt-keys.json"
        if not path.exists():
            # imported here: the other commands of the stack need no library of cryptography
            from ingestion.jwt_receipts import key_set_with_new

            write_private(path, key_set_with_new((), "local").decode())
        return path

    def _logins(self) -> dict[str, str]:
        """Return settings with the URL of each login except the one that migrates."""
        place = f"127.0.0.1:{self.ports.postgres}/viewledger"
        return {
            login_setting(name.upper()): f"postgresql://{login}:{self.secret(f'{name}_password')}@{place}"
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
