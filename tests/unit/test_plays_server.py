"""The example of a platform that signs plays by itself: what it signs, the collector takes."""

import http.client
import json
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clients.python.plays_server import Platform, signer
from ingestion.contract.plays import ReadPlay
from ingestion.jwt_plays import play_keys, play_reader
from ingestion.pseudonym import pseudonym_of
from tests.ingestion_fakes import KEY, hmac_jwk


def test_the_example_signs_for_those_who_signed_in_and_for_its_own_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = json.dumps({"keys": [hmac_jwk("mine", bytes(32))]})
    (tmp_path / "keys.json").write_text(keys)
    monkeypatch.setenv("VIEWLEDGER_PLAY_KEYS_FILE", str(tmp_path / "keys.json"))
    monkeypatch.setenv("VIEWLEDGER_PSEUDONYM_KEY", KEY.hex())
    monkeypatch.setattr(Platform, "sign", staticmethod(signer()), raising=False)
    monkeypatch.setattr(Platform, "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(path: str, cookie: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        connection.request("POST", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    try:
        assert ask("/play?unknown", "user=alice; session=s1")[0] == 404
        assert ask("/play?trailer", "user=alice")[0] == 401
        status, body = ask("/play?trailer", "user=alice; session=s1")
    finally:
        server.shutdown()
        server.server_close()
    read = play_reader(play_keys(keys))(body["play"])
    assert status == 200
    assert isinstance(read, ReadPlay)
    play = read.play
    assert (play.video_id, play.user_id) == ("trailer", pseudonym_of("alice", KEY))
    assert (play.revenue_eligible, play.ad_views_max) == (False, 0)
