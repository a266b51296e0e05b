"""Requests that may be repeated: the answer under a key is stored in the database transaction of the change."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ingestion.contract.requests import KeyReusedError, RequestKey

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

# A request with the same key waits until the first one's transaction is over.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('viewledger.request ' || %s || ' ' || %s, 0))"
_SELECT = "SELECT inputs_hash, answer FROM billing.answered_requests WHERE caller = %s AND request_key = %s"
_INSERT = "INSERT INTO billing.answered_requests (caller, request_key, inputs_hash, answer) VALUES (%s, %s, %s, %s)"


def answered(cursor: "Cursor", request: RequestKey) -> Mapping[str, Any] | None:
    """Return the answer stored under the key, None for a new one; the key stays locked until the commit.

    Raises:
        KeyReusedError: the key was used for another request.
    """
    cursor.execute(_LOCK, (request.caller, request.key))
    cursor.execute(_SELECT, (request.caller, request.key))
    row = cursor.fetchone()
    if row is None:
        return None
    inputs_hash, answer = row
    if inputs_hash != request.inputs_hash:
        raise KeyReusedError("another request was answered under this key; take a new key for a new request")
    found: Mapping[str, Any] = answer
    return found


def remember(cursor: "Cursor", request: RequestKey, answer: Mapping[str, Any]) -> None:
    """Store the answer, to be committed with the change."""
    cursor.execute(_INSERT, (request.caller, request.key, request.inputs_hash, json.dumps(answer)))
