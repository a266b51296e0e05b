"""Plays that were not signed, or whose claims somebody contradicts: what a viewer with a browser could try."""

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt

from attacks.attempts import Attack
from attacks.site import Site
from ingestion.contract.attestation import Attested, attestation_of, attested
from ingestion.contract.plays import AUDIENCE, Play
from ingestion.jwt_plays import PlayKey, play_keys, secret_key, signed_text
from jobs.wiring.attestations import read_attestation_keys

WATCHED_SECONDS = 30
REPEATS = 50


def forged_plays(site: Site) -> Iterator[str | None]:
    """Tokens signed by nobody who may: with another secret, without one, as another algorithm, with claims replaced."""
    key, own = _key(site), secret_key(_key(site).kid, secrets.token_bytes(32))
    genuine = signed_text(_play(), key)
    head, body, signature = genuine.split(".")
    claims = jwt.decode(genuine, options={"verify_signature": False})
    other_body = signed_text(_play(), own).split(".")[1]
    named = {"kid": key.kid}
    for token in (
        signed_text(_play(), own),
        jwt.encode(claims, "", "none", headers=named),
        jwt.encode(claims, secrets.token_bytes(64), "HS512", headers=named),
        jwt.encode(claims, key.kid.encode() * 8, "HS256", headers=named),
        f"{head}.{other_body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{genuine}.{signature}",
        f"{head}.{body}.{signature[:-1]}",
        signed_text(_play(), secret_key("../../etc/passwd", secrets.token_bytes(32))),
        signed_text(_play(audience="elsewhere"), key),
    ):
        yield _unless_refused(site, {"play": token, "view_duration": WATCHED_SECONDS})


def plays_of_another_time(site: Site) -> Iterator[str | None]:
    """Genuine plays that have not begun, began too long ago, or did not last as long as was watched of them."""
    key, now = _key(site), int(time.time())
    site.result_of(site.event())  # the collector knows the broker's time from an acknowledgement
    for began, seconds in ((now + 600, 1), (now - 36 * 86_400, 1), (now - 60, 3_600), (now, 86_400)):
        token = signed_text(_play(begun_at_seconds=began), key)
        yield _unless_refused(site, {"play": token, "view_duration": seconds})


def words_beside_a_play(site: Site) -> Iterator[str | None]:
    """A genuine play with another video, viewer, country, instant and 50 advertisements beside it; each would pay."""
    play = _play(ad_views_max=1, revenue_eligible=False)
    lies: dict[str, Any] = site.event(geo_location="CH", user_id="rich", revenue_eligible=True)
    lies["ad_views"] = [{"ad_id": str(number), "watched_seconds": 5} for number in range(50)]
    site.result_of(lies | {"play": signed_text(play, _key(site))})
    kept = _stored(site, play.play_id)
    yield None if len(kept) == 1 else f"the play is {len(kept)} messages of the log, so nothing is proven"
    for stored in kept:
        for name in ("video_id", "user_id", "session_id", "revenue_eligible"):
            yield None if stored[name] == getattr(play, name) else f"{name} is kept as the sender wrote it"
        yield "the country is kept as the sender wrote it" if "geo_location" in stored else None
        paid = len(stored["ad_views"])
        yield f"{paid} advertisements are kept of a play with 1" if paid > 1 else None
        yield "the token is on the log" if "play" in stored else None


def repeated_plays(site: Site) -> Iterator[str | None]:
    """One play sent as many views, each a little longer and of another video; each would count once more."""
    play = _play()
    token = signed_text(play, _key(site))
    lines = [
        json.dumps({"play": token, "view_duration": second, "video_id": f"{play.video_id}-{second}"})
        for second in range(REPEATS)
    ]
    site.collector.post("/v1/events", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"})
    yield site.has_counting_stopped()
    videos = [play.video_id, *(f"{play.video_id}-{second}" for second in range(REPEATS))]
    views = sum(site.views(videos).values())
    yield None if views == 1 else f"one play sent {REPEATS} times counted {views} views"


def forged_attestations(site: Site) -> Iterator[str | None]:
    """Events that say by themselves who vouches for them, over HTTP and straight to Kafka."""
    keys = read_attestation_keys(site.scene.environ)
    for key_id in (*keys, "unknown"):
        event = site.event()
        forged = attested(json.dumps(event).encode(), key_id, secrets.token_bytes(32))
        site.result_of(forged)
        site.produce([(forged, event["video_id"].encode())])
        found = [each.value or b"" for each in site.messages() if event["event_id"].encode() in (each.value or b"")]
        yield None if len(found) == 2 else f"the event is {len(found)} messages of the log, so nothing is proven"
        for value in found:
            is_believed = attestation_of(value, keys) is Attested.YES
            yield f"{key_id} seems to vouch for an event of a stranger" if is_believed else None


def _key(site: Site) -> PlayKey:
    """Return the platform's key; an attacker only ever sees what it signed."""
    return play_keys(Path(site.scene.environ["VIEWLEDGER_PLAY_KEYS_FILE"]).read_bytes())[0]


def _play(**changes: Any) -> Play:
    began = int(time.time()) - 60
    claims: dict[str, Any] = {
        "play_id": uuid4(),
        "audience": AUDIENCE,
        "begun_at_seconds": began,
        "start_until_seconds": began + 600,
        "user_id": f"viewer_{secrets.token_hex(16)}",
        "session_id": f"session_{secrets.token_hex(16)}",
        "video_id": f"attacked-{secrets.token_hex(6)}",
        "revenue_eligible": True,
    }
    return Play(**(claims | changes))


def _stored(site: Site, play_id: UUID) -> list[dict[str, Any]]:
    return [json.loads(each.value) for each in site.messages() if str(play_id).encode() in (each.value or b"")]


def _unless_refused(site: Site, event: dict[str, Any]) -> str | None:
    result = site.result_of(event)
    reasons = result.get("reasons", [{"code": "none"}])
    is_refused = result.get("status") == "rejected" and str(reasons[0]["code"]).startswith(("play_", "view_duration_"))
    return None if is_refused else f"{event['play'][:40]}… was answered with {result.get('status')}: {reasons}"


FAMILY: dict[str, Attack] = {
    "play-forged": forged_plays,
    "play-of-another-time": plays_of_another_time,
    "play-words-beside": words_beside_a_play,
    "play-repeated": repeated_plays,
    "play-attestation-forged": forged_attestations,
}
