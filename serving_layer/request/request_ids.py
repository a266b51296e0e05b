"""The id of the current request, for logs and answers."""

import logging
import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"
_is_well_formed = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
current: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id_from(sent: str | None) -> str:
    """Return the client's id, if it is 1 to 64 of the characters A-Z a-z 0-9 . _ -; else a new one."""
    return sent if sent is not None and _is_well_formed(sent) else secrets.token_hex(8)


class WithRequestId(logging.Filter):
    """Adds the field `request_id` to every log record of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if (request_id := current.get()) is not None:
            record.fields = {**getattr(record, "fields", {}), "request_id": request_id}
        return True
