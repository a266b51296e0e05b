"""The demo's page: what it serves, and the plays that it hands out."""

import json
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from clients.demo.serve import VIDEO_ID, app_of, issuer, main
from ingestion.contract.plays import ReadPlay
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from ingestion.jwt_plays import play_keys, play_reader
from ingestion.play_claims import Plays
from tests.ingestion_fakes import KEY, NOW, hmac_jwk

COLLECTOR = "https://collector.example/v1/events"
CAME = arrival(NOW, Origin(), broker_time=None)


def test_the_page_has_the_library_and_a_video_in_which_a_browser_can_seek() -> None:
    client = TestClient(app_of(COLLECTOR, dict))
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "viewledger.min.js" in page.text
    assert "javascript" in client.get("/viewledger.min.js").headers["content-type"]
    part = client.get("/two-seconds.webm", headers={"range": "bytes=0-99"})
    assert (part.status_code, len(part.content), part.headers["content-type"]) == (206, 100, "video/webm")
    assert client.get("/settings").json() == {"collector": COLLECTOR}
    assert client.get("/../serve.py").status_code == 404


def test_without_keys_a_view_is_reported_with_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIEWLEDGER_PLAY_KEYS_FILE", raising=False)
    facts = TestClient(app_of(COLLECTOR, issuer())).post("/plays").json()
    times = {"event_id": "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b", "timestamp": NOW.isoformat(), "view_duration": 2}
    assert isinstance(admit(json.dumps(facts | times).encode(), CAME, KEY), AdmittedEvent)


def test_with_keys_each_view_gets_a_play_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = json.dumps({"keys": [hmac_jwk("mine", bytes(32))]})
    (tmp_path / "keys.json").write_text(keys)
    monkeypatch.setenv("VIEWLEDGER_PLAY_KEYS_FILE", str(tmp_path / "keys.json"))
    monkeypatch.setenv("VIEWLEDGER_PSEUDONYM_KEY", KEY.hex())
    client = TestClient(app_of(COLLECTOR, issuer()))
    read = play_reader(play_keys(keys.encode()))
    first, second = (client.post("/plays").json() for _ in range(2))
    found = read(first["play"])
    assert isinstance(found, ReadPlay)
    assert (str(found.play.play_id), found.play.video_id) == (first["event_id"], VIDEO_ID)
    assert first["event_id"] != second["event_id"]
    event = json.dumps({**first, "view_duration": 2}).encode()
    assert isinstance(admit(event, CAME, KEY, Plays(read)), AdmittedEvent)


def test_keys_that_cannot_be_read_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["serve"])
    monkeypatch.setenv("VIEWLEDGER_PSEUDONYM_KEY", KEY.hex())
    (broken := tmp_path / "keys.json").write_text("{}")
    for path in (broken, tmp_path / "none.json"):
        monkeypatch.setenv("VIEWLEDGER_PLAY_KEYS_FILE", str(path))
        with pytest.raises(SystemExit, match=r"^plays cannot be signed \(.*\); set VIEWLEDGER_PLAY_KEYS_FILE"):
            main()
