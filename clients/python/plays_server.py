"""An example of a platform that signs plays by itself: `POST /play` of its own pages answers with a token.

    VIEWLEDGER_PLAY_KEYS_FILE=play-keys.json VIEWLEDGER_PSEUDONYM_KEY=… python -m clients.python.plays_server 8080

The viewer and the session come from the platform's own sign-in, never from the page. Here two cookies stand for it.
"""

import json
import os
import sys
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ingestion.contract.plays import PlayRequest, PlaySigner
from ingestion.jwt_plays import play_keys, play_signer
from ingestion.pseudonym import pseudonym_key

VIDEOS = {"-JinobXWPk": True, "trailer": False}
"""The platform's videos → whether their views may earn money."""
ADVERTISEMENTS_MAX = 2


def signer() -> PlaySigner:
    """Return the signer, with the first key of the file that holds a secret."""
    keys = play_keys(Path(os.environ["VIEWLEDGER_PLAY_KEYS_FILE"]).read_bytes())
    return play_signer(keys, pseudonym_key(os.environ["VIEWLEDGER_PSEUDONYM_KEY"]), lambda: datetime.now(UTC))


class Platform(BaseHTTPRequestHandler):
    """Answers the platform's own pages."""

    sign: PlaySigner

    def do_POST(self) -> None:
        """Answer `POST /play?VIDEO` with `{"play": TOKEN}`, 404 for an unknown video, 401 without a sign-in."""
        path, _, video_id = self.path.partition("?")
        cookies = SimpleCookie(self.headers.get("cookie", ""))
        if path != "/play" or video_id not in VIDEOS:
            self._answer(404, {"error": "there is no such video"})
        elif "user" not in cookies or "session" not in cookies:
            self._answer(401, {"error": "sign in first"})
        else:
            is_earning = VIDEOS[video_id]
            asked = PlayRequest(
                video_id=video_id,
                user_id=cookies["user"].value,
                session_id=cookies["session"].value,
                revenue_eligible=is_earning,
                geo_location="DE",  # a platform looks the address up in its own GeoIP data
                ad_views_max=ADVERTISEMENTS_MAX if is_earning else 0,
            )
            self._answer(200, {"play": Platform.sign(asked).play})

    def _answer(self, status: int, body: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve on the port that the command line names, for this machine alone."""
    Platform.sign = staticmethod(signer())  # a function in a class would become a method
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Platform).serve_forever()


if __name__ == "__main__":
    main()
