"""The demo's messages as each kind of sender writes them."""

from collections.abc import Callable
from typing import Any
from zlib import crc32

from ingestion.contract.traits import referrer_host
from ingestion.pseudonym import pseudonym_of, session_pseudonym_of
from jobs.demo.maker import Message, compact

CLAIMED = ("event_id", "video_id", "user_id", "session_id", "timestamp", "revenue_eligible", "geo_location")


def encode_for_kafka(message: Message, key: bytes) -> bytes:
    """Return the value that a direct producer sends: such producers replace personal ids as the collector does."""
    if isinstance(message.event, bytes):
        return message.event
    user_id = message.event["user_id"]
    event = {"client_network": home_network(user_id), **message.event, "user_id": pseudonym_of(user_id, key)}
    if "session_id" in event:
        event["session_id"] = session_pseudonym_of(event["session_id"], key)
    return compact(event | {"referrer": referrer_host(event["referrer"])})


def home_network(user_id: str) -> str:
    """Return the network of a viewer at home: half of them share one with others, the rest have one of their own.

    Networks are those reserved for benchmarks and examples. If all views came from one network, people who have a few
    would look suspicious beside them.
    """
    number = crc32(f"network of {user_id}".encode())
    if number % 2:
        return f"198.19.{number // 2 % 256}.0/24"
    return f"2001:db8:{number // 2 % 0x10000:x}::/48"


def encode_for_http(message: Message, sign: Callable[[dict[str, Any]], str]) -> bytes:
    """Return the line that a player sends to the collector; `sign` returns the play of an event as a token.

    A player with a play sends no more than the platform does not know: `CLAIMED` is left out.
    """
    if isinstance(message.event, bytes):
        return message.event
    if not message.has_play:
        return compact(message.event)
    rest = {name: value for name, value in message.event.items() if name not in CLAIMED}
    return compact({"play": sign(message.event), **rest})
