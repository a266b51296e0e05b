"""The demo's platform: it signs a play for each view, with the key of the stack.

It signs views of past days, which a real platform never does.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from ingestion.contract.plays import AUDIENCE, Play
from ingestion.jwt_plays import START_SECONDS, play_keys, signed_text
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of
from jobs.settings.declared.pipeline import PLAY_KEYS_FILE
from jobs.wiring.pseudonyms import read_pseudonym_key


def platform_of(environ: Mapping[str, str]) -> Callable[[dict[str, Any]], str]:
    """Return the function that signs the play of an event: the token is the platform's word for it."""
    key = play_keys(PLAY_KEYS_FILE.read(environ).read_bytes())[0]
    pseudonym_key = read_pseudonym_key(environ)

    def sign(event: dict[str, Any]) -> str:
        begun = int(datetime.fromisoformat(event["timestamp"]).timestamp())
        play = Play(
            play_id=UUID(event["event_id"]),
            audience=AUDIENCE,
            begun_at_seconds=begun,
            start_until_seconds=begun + START_SECONDS,
            user_id=pseudonym_of(event["user_id"], pseudonym_key),
            session_id=session_pseudonym_of(event["session_id"], pseudonym_key),
            video_id=event["video_id"],
            revenue_eligible=event["revenue_eligible"],
            geo_location=event.get("geo_location"),
        )
        return signed_text(play, key)

    return sign
