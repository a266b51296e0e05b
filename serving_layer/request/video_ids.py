"""Check the video ids of a request before anything is read. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ingestion.contract.decoding import is_video_id
from ingestion.contract.event import VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN
from ingestion.contract.problem import Problem
from serving_layer.problems.problems import ProblemError, problem, refused

LOOKUP_IDS_MAX = 1_000
LOOKUP_BYTES_MAX = 256 * 1024


_VideoId = Annotated[str, Meta(extra_json_schema={"pattern": VIDEO_ID_PATTERN, "maxLength": VIDEO_ID_LENGTH_MAX})]


class Lookup(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a look-up. Its bounds are described here and checked, in our words, by `looked_up`."""

    video_ids: Annotated[list[_VideoId], Meta(extra_json_schema={"minItems": 1, "maxItems": LOOKUP_IDS_MAX})]


_decode = msgspec.json.Decoder(Lookup).decode


def malformed(video_id: str) -> Problem:
    """Return the problem of an id that no video can have."""
    shown = video_id if len(video_id) <= 80 else video_id[:77] + "..."
    detail = f"video id {shown!r}: it must match {VIDEO_ID_PATTERN} and have at most {VIDEO_ID_LENGTH_MAX} characters"
    return problem("video_id_malformed", detail)


def looked_up(body: bytes) -> list[str]:
    """Return the ids of a look-up in their order; raise ProblemError that says what is wrong with it."""
    try:
        video_ids = _decode(body).video_ids
    except msgspec.ValidationError as error:
        raise refused("lookup_invalid", f'expected {{"video_ids": ["…", …]}}: {error}') from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused("body_malformed", f"the body is not JSON ({error})") from error
    if not 1 <= len(video_ids) <= LOOKUP_IDS_MAX:
        raise refused("lookup_size", f"video_ids holds {len(video_ids)} ids; 1 to {LOOKUP_IDS_MAX} are allowed")
    for video_id in video_ids:
        if not is_video_id(video_id):
            raise ProblemError(malformed(video_id))
    return video_ids
