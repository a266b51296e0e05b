"""Sabotage: where nothing defends itself every attack gets through, and the harness says so."""

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from attacks import (
    bank_attacks,
    event_attacks,
    framing_attacks,
    poison_attacks,
    portal_attacks,
    request_attacks,
    site,
    token_attacks,
)
from attacks.attempts import GOT_THROUGH, NOT_TRIED, NotTriedError, carry_out
from attacks.site import Site
from billing.payouts.answers import Answer
from faults.reference import LogMessage
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent, ViewEvent
from ingestion.contract.event_contracts import OLDEST
from ingestion.contract.priced_fields import ad_types_by


def by_the_oldest(raw: bytes) -> ViewEvent | RejectedEvent:
    return decode_view_event(raw, OLDEST)


IN_THE_CONTRACT: dict[str, dict[str, Callable[..., Any]]] = {
    "event-rounded-instants": {"decode_view_event": by_the_oldest},
    "event-many-advertisements": {
        "decode_view_event": by_the_oldest,
        "counted_ad_types": lambda event: ad_types_by(OLDEST, event),
    },
    "event-packed-advertisements": {
        "counted_ad_types": lambda event: [part for each in event.ad_views for part in each.ad_type.splitlines()]
    },
    "event-ambiguous": {"decode_view_event": lambda _: object()},
    "event-country-spellings": {"country_of": str.upper},
}
"""Attacks on decoding itself: what each asks, and a weak one in its place."""


class HelplessSite(Site):
    """A pipeline that accepts, shows and keeps whatever comes, and counts every message."""

    def __init__(self, port: int) -> None:
        scene: Any = SimpleNamespace(
            collector=SimpleNamespace(port=port),
            api=SimpleNamespace(port=port),
            rng=Random(1),
            environ={"VIEWLEDGER_LOCAL_ISSUER_SEED": "ab" * 32},
            wait=self._never,
        )
        super().__init__(scene)
        self.sent: Counter[str] = Counter()
        self.log: list[LogMessage] = []

    def client(self, port: int, address: str = "127.0.0.1") -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.MockTransport(self._answer))

    def start_speed(self) -> None:
        """There is none."""

    def messages(self) -> list[LogMessage]:
        return self.log

    def produce(self, messages: Sequence[tuple[bytes | None, bytes | None]], **_: Any) -> None:
        for value, _key in messages:
            self._keep(value or b"")

    def _keep(self, value: bytes) -> None:
        self.log.append(LogMessage(0, len(self.log), 0, value))
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            self.sent[json.loads(value)["video_id"]] += 1

    @staticmethod
    def _never(holds: object, what: str, _seconds: float) -> None:
        raise site.NotInTimeError(what)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, request.content
        if path == "/healthz":
            return httpx.Response(503)
        if path in ("/v1/events/", "/v1/views:lookup/", "//v1/events"):
            return httpx.Response(307, headers={"location": f"http://127.0.0.1{path.rstrip('/')}"})
        if path == "/v1/events":
            if len(body) > 400_000:
                return httpx.Response(500, json={})
            for line in body.splitlines():
                self._keep(line)
            return httpx.Response(202, json={"results": [{"status": "accepted"}] * (body.count(b"\n") + 1)})
        if path == "/v1/views:lookup":
            asked = json.loads(body)["video_ids"]
            return httpx.Response(200, json={"counts": [{"video_id": v, "views": 2 * self.sent[v]} for v in asked]})
        if path.startswith("/portal") and request.method == "POST":
            fields = dict(part.partition("=")[::2] for part in body.decode().split("&"))
            location = unquote(fields.get("return", "")).replace("+", " ").replace("\n", "")
            return httpx.Response(303, headers={"location": location, "set-cookie": "session=abcdefgh"})
        text = f'<input name="csrf" value="token"> {unquote(str(request.url))}'
        forwarded = {"location": f"//{request.headers.get('x-forwarded-host') or request.headers['host']}/"}
        cookies = [("set-cookie", "session=abcdefgh"), ("set-cookie", "visit=abc")]
        return httpx.Response(200, text=text, headers=[*forwarded.items(), *cookies])


@pytest.fixture
def helpless(monkeypatch: pytest.MonkeyPatch) -> Iterator[HelplessSite]:
    monkeypatch.setattr(site, "COUNTED_SECONDS", 0.01)
    monkeypatch.setattr(request_attacks, "HALF_OPEN_SECONDS_MAX", 0.2)
    monkeypatch.setattr(request_attacks, "LISTENING_SECONDS", 0.2)
    with _listener() as port:
        yield HelplessSite(port)


@contextlib.contextmanager
def _listener() -> Iterator[int]:
    """A server that takes whatever comes, closes nothing, and has one stream to give."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    taken.append(connection)
                    threading.Thread(target=_take, args=(connection, len(taken) == 1), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for each in taken:
            each.close()


def _take(connection: socket.socket, has_a_stream: bool) -> None:
    with contextlib.suppress(OSError):
        while part := connection.recv(1 << 16):
            if b"/views/live" in part:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if has_a_stream else b"HTTP/1.1 503 No\r\n\r\n")
            elif b"/nowhere" in part or b"/statements" in part:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize("name", IN_THE_CONTRACT)
def test_an_attack_on_a_weak_contract_gets_through(
    helpless: HelplessSite, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for asked, weak in IN_THE_CONTRACT[name].items():
        monkeypatch.setattr(event_attacks, asked, weak)
    outcome = carry_out(name, event_attacks.FAMILY[name], helpless)
    assert outcome.verdict == GOT_THROUGH, outcome


FAMILIES = (event_attacks, poison_attacks, token_attacks, portal_attacks, request_attacks, framing_attacks)
OVER_THE_NETWORK = [name for family in FAMILIES for name in family.FAMILY if name not in IN_THE_CONTRACT]


@pytest.mark.parametrize("name", OVER_THE_NETWORK)
def test_an_attack_on_what_does_not_defend_itself_gets_through(helpless: HelplessSite, name: str) -> None:
    attack = next(family.FAMILY[name] for family in FAMILIES if name in family.FAMILY)
    outcome = carry_out(name, attack, helpless)
    assert outcome.verdict == GOT_THROUGH, outcome
    assert outcome.gained


@pytest.mark.parametrize("name", bank_attacks.FAMILY)
def test_an_attack_on_readers_that_take_everything_gets_through(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    for asked in ("read_answer", "read_bank_accounts"):
        monkeypatch.setattr(bank_attacks, asked, lambda _: Answer())
    monkeypatch.setattr(bank_attacks, "execution_day_problem", lambda _day, _today: None)
    scene: Any = SimpleNamespace(folder=tmp_path)
    outcome = carry_out(name, bank_attacks.FAMILY[name], Site(scene))
    assert outcome.verdict == GOT_THROUGH, outcome


def test_an_attack_that_tried_nothing_is_not_a_success(helpless: HelplessSite) -> None:
    def nothing(_: Site) -> Iterator[str | None]:
        yield from ()

    def cannot(_: Site) -> Iterator[str | None]:
        yield None
        raise NotTriedError("the server is away")

    assert carry_out("nothing", nothing, helpless).verdict == NOT_TRIED
    assert carry_out("cannot", cannot, helpless).verdict == NOT_TRIED
