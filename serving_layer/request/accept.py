"""Choose the form of an answer: the header Accept with its weights (RFC 9110, section 12.5.1). Pure."""

import re
from collections.abc import Sequence

_is_weight = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?").fullmatch
RANGES_MAX = 50
"""The number of ranges that are read."""


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """Return the offered media type with the largest weight, None if every weight is 0.

    The most exact range decides on a type: `text/csv` before `text/*` before `*/*`. Of equal weights the type that
    the header names first wins, then the one that is offered first. A range with an invalid weight is not acceptable.
    """
    ranges = [_range(each) for each in accept.split(",", RANGES_MAX)[:RANGES_MAX] if each.strip()]
    if not ranges:
        return offered[0]
    best: tuple[float, int, str] | None = None
    for media_type in offered:
        matching = [
            (name.count("*"), place, weight) for place, (name, weight) in enumerate(ranges) if _holds(name, media_type)
        ]
        if matching:
            _, place, weight = min(matching)
            if weight > 0 and (best is None or (weight, -place) > best[:2]):
                best = (weight, -place, media_type)
    return best[2] if best else None


def _range(text: str) -> tuple[str, float]:
    name, *parameters = [part.strip().lower() for part in text.split(";")]
    for each in parameters:
        key, _, value = each.partition("=")
        if key.strip() == "q":
            return name, float(value.strip()) if _is_weight(value.strip()) else 0.0
    return name, 1.0


def _holds(name: str, media_type: str) -> bool:
    return name in ("*/*", media_type, f"{media_type.partition('/')[0]}/*")
