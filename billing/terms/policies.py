"""A policy as it is on record: its values, its first day and its hash. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class StoredPolicy:
    """One version of a policy."""

    kind: str
    version: int
    first_on: date
    """The first event day that it rules."""
    document: Mapping[str, Any]
    content_hash: str
    state: str
    imported_at: datetime
    actor: str | None


def document_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a policy or of contracts, as its record and everybody else computes it."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
