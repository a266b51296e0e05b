"""Messages that Kafka accepts from any producer and that could stop a reader: counting must continue."""

import json
from collections.abc import Iterator

from attacks.attempts import Attack
from attacks.site import Site

CODECS = ("gzip", "snappy", "lz4", "zstd")
BATCH_EVENTS = 3_000
EMPTY_KEYS = (None, b"", b"\xff\xfe", b"k" * 10_000)


def _with_codec(codec: str) -> Attack:
    def attack(site: Site) -> Iterator[str | None]:
        events = [site.event() for _ in range(BATCH_EVENTS)]
        messages = [(json.dumps(each).encode(), each["video_id"].encode()) for each in events]
        site.produce(messages, compression_type=codec, linger_ms=50, batch_size=4 << 20)
        yield site.has_counting_stopped()
        counted = sum(site.views([each["video_id"] for each in events[:500]]).values())
        yield None if counted == 500 else f"of 500 events compressed with {codec} {counted} were counted"

    attack.__doc__ = f"Honest events that a direct producer compressed with {codec}; a reader without it would stop."
    return attack


def messages_without_content(site: Site) -> Iterator[str | None]:
    """Messages without a value, without a key, empty, or with bytes that are not text; one would stop a partition."""
    values = (None, b"", b"\0", b"\xff" * 50, b"{}")
    site.produce([(value, key) for key in EMPTY_KEYS for value in values if (value, key) != (None, None)])
    yield site.has_counting_stopped()


def largest_messages(site: Site) -> Iterator[str | None]:
    """Messages as large as the broker accepts; a reader with a smaller bound would never pass one."""
    site.produce([(b"x" * size, b"key") for size in (64 * 1024, 64 * 1024 + 1, 900_000, 1_000_000)])
    yield site.has_counting_stopped()


def foreign_timestamps(site: Site) -> Iterator[str | None]:
    """Records whose producer claims another time; the broker's time decides, so none is late or early by it."""
    event = site.event()
    message = (json.dumps(event).encode(), event["video_id"].encode())
    site.produce([message], record_times=(0, 1, 4_102_444_800_000))
    yield site.has_counting_stopped()
    views = site.views([event["video_id"]])[event["video_id"]]
    yield None if views == 1 else f"an event whose record claims other times counted {views} views"


def random_bytes(site: Site) -> Iterator[str | None]:
    """Thousands of messages of random bytes, and events damaged at a random byte."""
    rng = site.scene.rng
    good = json.dumps(site.event()).encode()
    damaged = []
    for _ in range(1_000):
        value = bytearray(good)
        value[rng.randrange(len(value))] = rng.randrange(256)
        damaged.append((bytes(value), b"key"))
    site.produce([(rng.randbytes(rng.randrange(300)), rng.randbytes(4)) for _ in range(1_000)] + damaged)
    yield site.has_counting_stopped()


FAMILY: dict[str, Attack] = {
    **{f"poison-codec-{codec}": _with_codec(codec) for codec in CODECS},
    "poison-without-content": messages_without_content,
    "poison-largest": largest_messages,
    "poison-foreign-timestamps": foreign_timestamps,
    "poison-random-bytes": random_bytes,
}
