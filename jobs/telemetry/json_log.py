"""Logs as JSON lines on stdout: a constant event text plus fields, e.g.

logger.info("chunk applied", extra={"fields": {"partition": 3, "events": 500}})
"""

import json
import logging
import sys
from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from ingestion.contract.printable import is_printable

_NONE: dict[str, object] = {}
_COMMON: ContextVar[MutableMapping[str, object]] = ContextVar("fields of every line", default=_NONE)


@contextmanager
def in_every_line(**fields: object) -> Iterator[dict[str, object]]:
    """Add fields to all lines that the block writes, in its thread or task; it may change the yielded ones."""
    token = _COMMON.set(ChainMap(fields, _COMMON.get()))
    try:
        yield fields
    finally:
        _COMMON.reset(token)


class JsonLines(logging.Formatter):
    """Formats one JSON object a line, of characters that are safe for a terminal; times are UTC.

    A field's name must not be time, level, logger, event or error.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record, with the stack trace as one string if there is one."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {**_COMMON.get(), **getattr(record, "fields", {})}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        text = json.dumps(line, default=str, ensure_ascii=False)
        return text if is_printable(text) else json.dumps(line, default=str)


def log_json(level: int = logging.INFO) -> None:
    """Send every logger's records to stdout as JSON lines; calling it twice changes nothing."""
    root = logging.getLogger()
    root.setLevel(level)
    if not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        root.addHandler(handler)
    logging.getLogger("kafka").setLevel(logging.WARNING)
