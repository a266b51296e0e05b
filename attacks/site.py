"""The target of attacks: a pipeline of real processes and servers on loopback, and the ways to reach it."""

import json
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx
import psycopg2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaProducer
from psycopg2 import sql

from attacks import books
from billing.proof.ed25519_keys import SigningKey, create_key
from faults.kafka_topics import read_topic
from faults.reference import LogMessage
from faults.scene import Scene
from faults.waiting import NotInTimeError
from ingestion.contract.topics import PARTITION_COUNT
from serving_layer.access.access import Role
from serving_layer.access.jwt_local_issuer import LocalIssuer

SETTINGS = {
    "VIEWLEDGER_TRUSTED_PROXIES": "127.0.0.1",
    "VIEWLEDGER_PORTAL_SECURE_COOKIES": "0",
    "VIEWLEDGER_API_RATE_ANONYMOUS": "6000/hour",
}
"""The API believes our X-Forwarded-For, so that guesses from many networks are judged, not refused as too many. The
pipelines of the fault tests have no rates; those of here are for an hour, so that a slow machine exceeds them, too."""
ANSWER_SECONDS = 15.0
COUNTED_SECONDS = 60.0
PASSWORD_BYTES = 16


class Site:
    """One pipeline: collector and API run; the speed process is started when something must be counted."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._closing: list[Callable[[], object]] = []
        self._has_speed = self._has_books = False

    @cached_property
    def collector(self) -> httpx.Client:
        """Return a client of the collector."""
        return self._client(self.scene.collector.port)

    @cached_property
    def api(self) -> httpx.Client:
        """Return a client of the API and the portal, without a credential."""
        return self._client(self.scene.api.port)

    def _client(self, port: int) -> httpx.Client:
        made = self.client(port)
        self._closing.append(made.close)
        return made

    def browser(self, address: str = "127.0.0.1") -> httpx.Client:
        """Return a browser with cookies of its own, at a loopback address, which follows no redirect by itself."""
        return self.client(self.scene.api.port, address)

    def client(self, port: int, address: str = "127.0.0.1") -> httpx.Client:
        """Return a client that connects from a loopback address; the caller closes it."""
        transport = httpx.HTTPTransport(local_address=address)
        url = f"http://127.0.0.1:{port}"
        return httpx.Client(
            base_url=url,
            timeout=ANSWER_SECONDS,
            trust_env=False,
            transport=transport,
            headers={"User-Agent": "Player/1.0"},
        )

    def __enter__(self) -> "Site":
        for client in (self.collector, self.api):
            self.scene.wait(partial(_lives, client), f"{client.base_url} lives")
        return self

    def __exit__(self, *_: object) -> None:
        for close in self._closing:
            close()

    def file(self, name: str, text: str) -> Path:
        """Return a file with this text; the next one of the same name replaces it."""
        path = self.scene.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def somewhere(self) -> dict[str, str]:
        """Return the header of a request that seems to come from a network of its own."""
        first, second, third = (self.scene.rng.randrange(1, 250) for _ in range(3))
        return {"X-Forwarded-For": f"{first}.{second}.{third}.1"}

    # --- events

    def event(self, **changes: Any) -> dict[str, Any]:
        """Return a well-formed event of a video of its own, with `changes`."""
        plain = {
            "event_id": str(uuid.uuid4()),
            "video_id": f"attacked-{secrets.token_hex(6)}",
            "user_id": "viewer",
            "session_id": "session",
            "timestamp": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(),
            "view_duration": 60,
            "revenue_eligible": True,
        }
        return plain | changes

    def result_of(self, event: Mapping[str, Any] | bytes) -> dict[str, Any]:
        """Send one event to the collector; return its result, or the problem if the request was refused."""
        content = event if isinstance(event, bytes) else json.dumps(event).encode()
        answer = self.collector.post("/v1/events", content=content, headers={"Content-Type": "application/json"})
        body: dict[str, Any] = answer.json()
        return dict(body["results"][0]) if answer.status_code == httpx.codes.ACCEPTED else body

    def produce(
        self,
        messages: Sequence[tuple[bytes | None, bytes | None]],
        *,
        record_times: Sequence[int | None] = (None,),
        **producer_settings: Any,
    ) -> None:
        """Send (value, key) straight to the topic, as a direct producer does, and wait until all are acknowledged.

        Each message is sent once with each of `record_times`, in milliseconds since 1970; None is now.
        """
        settings = {"acks": "all", "enable_idempotence": False, "max_request_size": 8 << 20} | producer_settings
        producer = KafkaProducer(bootstrap_servers=self.scene.bootstrap.split(","), **settings)
        try:
            sending = [
                producer.send(self.scene.topic, value, key, timestamp_ms=at)
                for value, key in messages
                for at in record_times
            ]
            for future in sending:
                future.get(timeout=ANSWER_SECONDS)
        finally:
            producer.close(timeout=5)

    def messages(self) -> list[LogMessage]:
        """Return all messages on the log."""
        return list(read_topic(self.scene.bootstrap, self.scene.topic, PARTITION_COUNT))

    def has_counting_stopped(self) -> str | None:
        """Return a sentence if honest events are no longer counted, in any partition; None if they are."""
        self.start_speed()
        events = [self.event() for _ in range(PARTITION_COUNT * 3)]
        body = b"\n".join(json.dumps(each).encode() for each in events)
        sent = self.collector.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
        if sent.status_code != httpx.codes.ACCEPTED:
            return f"the collector takes no honest events any more: {sent.status_code} {sent.text[:120]}"
        videos = [each["video_id"] for each in events]
        with suppress(NotInTimeError):
            self.scene.wait(lambda: set(self.views(videos).values()) == {1}, "counted", COUNTED_SECONDS)
            return None
        missing = sum(count != 1 for count in self.views(videos).values())
        return f"{missing} of {len(videos)} honest events were not counted within {COUNTED_SECONDS:.0f} s"

    def views(self, video_ids: Sequence[str]) -> dict[str, int]:
        """Return the served views of some videos."""
        answer = self.api.post("/v1/views:lookup", json={"video_ids": list(video_ids)}).raise_for_status()
        return {each["video_id"]: each["views"] for each in answer.json()["counts"]}

    def start_speed(self) -> None:
        """Start the speed process, unless it already runs."""
        if not self._has_speed:
            self.scene.start_ready("speed")
            self._has_speed = True

    # --- credentials

    @property
    def _seed(self) -> bytes:
        return bytes.fromhex(self.scene.environ["VIEWLEDGER_LOCAL_ISSUER_SEED"])

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key of the issuer whose tokens the API accepts."""
        return Ed25519PrivateKey.from_private_bytes(self._seed)

    def token(self, role: Role, payee_id: str | None = None) -> str:
        """Return a token that the API accepts."""
        return LocalIssuer(self._seed).token(
            subject="somebody", role=role, payee_id=payee_id, now=datetime.now(UTC), lifetime=timedelta(minutes=10)
        )

    # --- the database

    @property
    def superuser_url(self) -> str:
        """Return the database URL of a superuser, who prepares the target and is not an attacker."""
        return f"{self.scene.stack.superuser_url}/{self.scene.postgres_url.rpartition('/')[2]}"

    @contextmanager
    def login(self, *roles: str) -> Iterator[str]:
        """Yield the URL of a new login that is a member of these roles alone; it is dropped at the end."""
        name, password = f"attacker_{secrets.token_hex(6)}", secrets.token_hex(PASSWORD_BYTES)
        with self._superuser() as cursor:
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
            )
            for role in roles:
                cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(name)))
        try:
            yield f"postgresql://{name}:{password}@{self.scene.postgres_url.rpartition('@')[2]}"
        finally:
            with self._superuser() as cursor:
                cursor.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))

    @contextmanager
    def _superuser(self) -> Iterator[Any]:
        with closing(psycopg2.connect(self.superuser_url)) as connection, connection, connection.cursor() as cursor:
            yield cursor

    def fill_books(self) -> None:
        """Create small books in the database, once."""
        if not self._has_books:
            with self.login("viewledger_billing") as billing_url, self.login("viewledger_approver") as approver_url:
                books.fill(self.superuser_url, billing_url, approver_url)
            self._has_books = True

    @cached_property
    def signing_key_of_books(self) -> SigningKey:
        """Return the key that signs the books."""
        return create_key(self.scene.folder / "books.key")

    def export_bundle(self, folder: Path) -> None:
        """Write the bundle of the small books, signed."""
        self.fill_books()
        books.export(self.superuser_url, self.signing_key_of_books, folder)


def _lives(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
