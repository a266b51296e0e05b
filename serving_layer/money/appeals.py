"""Appeals of payees against statements, and the port that records them. Pure."""

from datetime import datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from ingestion.contract.printable import is_text
from ingestion.contract.requests import RequestKey
from serving_layer.problems.problems import refused

OBJECTION_LENGTH_MAX = 2_000
BODY_BYTES_MAX = 16 * 1024
APPEALABLE = frozenset({"finalised", "paid", "held"})
"""States of a statement in which a payee may object."""


class AppealBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an appeal. `objection_of` checks its bounds, with our own messages."""

    objection: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": OBJECTION_LENGTH_MAX})]


class AppealReceipt(msgspec.Struct, frozen=True):
    """The answer to an appeal, the same for every repetition of the request."""

    appeal_id: str
    statement_id: str
    received_at: datetime


class Appeals(Protocol):
    """Records appeals. Called from a thread.

    Raises UnavailableError if the books do not answer, KeyReusedError if the key was used for another request,
    OpenAppealError if an appeal to the statement is not decided yet.
    """

    def answered(self, statement_id: str, request: RequestKey) -> AppealReceipt | None:
        """Return the stored answer to the request; None for a new one."""

    def file(self, statement_id: str, objection: str, request: RequestKey) -> AppealReceipt:
        """Record an objection to an existing statement, once for a request."""


def objection_of(body: bytes) -> str:
    """Return the objection without leading and trailing white space.

    Raises:
        ProblemError: body_malformed or appeal_invalid.
    """
    try:
        text = msgspec.json.decode(body, type=AppealBody).objection.strip()
    except msgspec.ValidationError as error:
        raise refused(
            "appeal_invalid", f'{error}; the body is like {{"objection": "two videos are missing"}}'
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused("body_malformed", f"the body is not JSON ({error})") from None
    if not is_text(text, most=OBJECTION_LENGTH_MAX):
        raise refused(
            "appeal_invalid",
            f"the objection has {len(text)} characters; it must have 1 to {OBJECTION_LENGTH_MAX} that can be shown",
        )
    return text
