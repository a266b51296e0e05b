"""`./viewledger ingest FILE.jsonl`: send events from a file to Kafka, the same way as over HTTP."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO

from billing.file_regular import open_regular
from ingestion.contract.printable import escaped
from ingestion.file_feed import Feed, Line, RejectedLine, Summary, numbered
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.servers import TOPIC_VIDEO_VIEWS
from jobs.wiring.event_log import connect
from jobs.wiring.plays import read_plays
from jobs.wiring.pseudonyms import read_pseudonym_key

ACKNOWLEDGEMENT_MS_MAX = 15_000
REJECTS_SHOWN_MAX = 50


def run(*, file: str, rejects: Path | None, from_line: int, as_json: bool) -> ExitCode:
    """Return OK if every line was accepted, BAD_INPUT if some were rejected, UNAVAILABLE if the broker went away."""
    # what the user typed is checked before what the environment lacks
    with _opened(file) as source:
        environ = settings.environment()
        key, plays = read_pseudonym_key(environ), read_plays(environ, all_are_attested=True)
        brokers = read_brokers(environ)
        topic = TOPIC_VIDEO_VIEWS.read(environ)
        with _rejects(rejects) as rejected:
            event_log = connect(brokers, topic, ACKNOWLEDGEMENT_MS_MAX)
            try:
                feed = Feed(event_log, clock=lambda: datetime.now(UTC), pseudonym_key=key, plays=plays)
                summary = _fed(feed, numbered(source, from_line=from_line), rejected)
            finally:
                event_log.close(timeout_seconds=1)
    return _concluded(summary, as_json=as_json)


def _fed(feed: Feed, lines: Iterable[Line], rejects: "_RejectsList") -> Summary:
    shown_at = datetime.now(UTC)
    try:
        for rejected in feed.send(lines):
            for each in rejected:
                rejects.add(each)
            now = datetime.now(UTC)
            if (now - shown_at).total_seconds() >= 1:
                shown_at = now
                print(
                    f"ingest: {feed.summary.accepted:,} accepted, {feed.summary.rejected:,} rejected", file=sys.stderr
                )
    except KeyboardInterrupt:
        print(f"ingest: to resume, give --from-line {feed.summary.done_through_line + 1}", file=sys.stderr)
        raise
    except OSError as error:
        raise CommandError(
            f"reading stopped after line {feed.summary.done_through_line} ({error.strerror or error}); resume with "
            f"--from-line {feed.summary.done_through_line + 1}"
        ) from error
    return feed.summary


def _concluded(summary: Summary, *, as_json: bool) -> ExitCode:
    if as_json:
        print(json.dumps(summary.to_json()))
    else:
        print(
            f"{summary.accepted:,} accepted, {summary.rejected:,} rejected; "
            f"everything up to line {summary.done_through_line} is done"
        )
    if summary.failure is not None:
        raise CommandError(
            f"the broker does not acknowledge ({summary.failure}); lines up to {summary.done_through_line} are done; "
            f"resume with --from-line {summary.done_through_line + 1}, lines sent twice are counted once",
            ExitCode.UNAVAILABLE,
        )
    return ExitCode.BAD_INPUT if summary.rejected else ExitCode.OK


class _RejectsList:
    """Writes rejected lines to a file, or the first of them to stderr."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._count = 0

    def add(self, rejected: RejectedLine) -> None:
        self._count += 1
        if self._file is not None:
            reasons = [{"code": reason.code, "detail": reason.detail} for reason in rejected.reasons]
            document = {"line": rejected.number, "event_id": rejected.event_id, "reasons": reasons}
            self._file.write(json.dumps(document, ensure_ascii=False) + "\n")
        elif self._count <= REJECTS_SHOWN_MAX:
            text = "; ".join(f"{reason.code}: {reason.detail}" for reason in rejected.reasons)
            print(escaped(f"line {rejected.number}: {text}"), file=sys.stderr)
        elif self._count == REJECTS_SHOWN_MAX + 1:
            print("further rejected lines are not shown; --rejects FILE keeps them all", file=sys.stderr)


@contextmanager
def _rejects(path: Path | None) -> Iterator[_RejectsList]:
    if path is None:
        yield _RejectsList(None)
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--rejects {path}: cannot be written ({error.strerror})", ExitCode.BAD_INPUT) from error
    with file:
        yield _RejectsList(file)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open_regular(Path(name))  # only opening may fail here, not what the caller does
    except OSError as error:
        raise CommandError(f"{name} cannot be read ({error.strerror})", ExitCode.BAD_INPUT) from error
    with file:
        yield file
