"""The one byte form of a JSON value that is hashed and signed; docs/concepts/proof.md defines it for other programs."""

import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return UTF-8 JSON with sorted keys, no white space, nothing escaped without need.

    Keys are text and sorted by code point. Numbers are integers.

    Raises:
        TypeError: the value holds a float or something that JSON does not have.
    """
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a canonical value has integers only")
    if isinstance(value, dict):
        for each in value.values():
            _refuse_floats(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _refuse_floats(each)
