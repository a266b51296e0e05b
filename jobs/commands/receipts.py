"""`./viewledger receipts check`: find receipted events that are not in the log as they were receipted."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from batch_layer.errors import DifferenceError
from billing.file_regular import open_regular
from ingestion.contract.printable import counted
from ingestion.contract.version import PublishedVersion
from ingestion.file_receipts import UnusableLine, UsableLine, receipts_in
from ingestion.intake import instant_text
from ingestion.receipts import ReadSigned, ReceiptedEvent
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.telemetry.figures_file import recorded_check
from jobs.wiring.batch_errors import errors_as_exit_codes
from jobs.wiring.batch_settings import BatchSettings
from jobs.wiring.receipt_lookup import open_receipt_lookup
from jobs.wiring.receipts import read_signed_reader

if TYPE_CHECKING:
    from batch_layer.settled.spark_receipts import ReceiptLookup

CHUNK_EVENTS = 200_000
"""Events that are looked up together; memory holds them once."""
LISTED_MAX = 1_000
"""Findings that the JSON document lists."""
CLOCK_SPARE = timedelta(minutes=1)
"""How far the collector's knowledge of the broker's clock may be off."""


class PlacedEvent(NamedTuple):
    """An event of a receipt, and its place in the files."""

    place: str
    at: datetime
    event: ReceiptedEvent


@dataclass
class Findings:
    """What was found so far; every finding is printed at once unless a document is wanted."""

    is_printed: bool
    receipts: int = 0
    events: int = 0
    not_settled: int = 0
    removed: int = 0
    wrong: int = 0
    unusable: int = 0
    listed_wrong: list[dict[str, str]] = field(default_factory=list)
    listed_unusable: list[str] = field(default_factory=list)

    def add_unusable(self, sentence: str) -> None:
        """Note a line that cannot be used."""
        self.unusable += 1
        if len(self.listed_unusable) < LISTED_MAX:
            self.listed_unusable.append(sentence)
        if self.is_printed:
            print(sentence)

    def add_wrong(self, entry: PlacedEvent, problem: str, reason: str) -> None:
        """Note an event that is not as receipted."""
        self.wrong += 1
        found = {"event_id": entry.event.event_id, "receipted_at": instant_text(entry.at), "place": entry.place}
        sentence = f"{entry.place}: event {found['event_id']}, receipted at {found['receipted_at']}: {reason}"
        if len(self.listed_wrong) < LISTED_MAX:
            self.listed_wrong.append({**found, "problem": problem, "sentence": sentence})
        if self.is_printed:
            print(sentence)


def check(*, files: Sequence[Path], keys: Path | None, as_json: bool) -> ExitCode:
    """Return OK if nothing is wrong; DIFFERENCE for an event that is not as receipted, BAD_INPUT for unusable lines."""
    findings = Findings(is_printed=not as_json)
    with ExitStack() as closed:
        # what the user typed is checked before what the environment lacks
        opened = [(str(file), closed.enter_context(_opened(file))) for file in files]
        environ = settings.environment("PIPELINE")
        read_signed, chosen = read_signed_reader(environ, keys), BatchSettings.from_environ(environ)
        chunks = _chunks(opened, read_signed, findings)
        first = next(chunks, None)
        if first is None:
            _conclude(None, findings, as_json=as_json)
        else:
            with errors_as_exit_codes(), recorded_check(chosen.state, "receipts", DifferenceError):
                version, lookup = closed.enter_context(open_receipt_lookup(chosen))
                _look_up(version, lookup, first, findings)
                for chunk in chunks:
                    _look_up(version, lookup, chunk, findings)
                _conclude(version, findings, as_json=as_json)
    if findings.unusable:
        raise CommandError(
            f"{counted(findings.unusable, 'line')} cannot be used: {findings.listed_unusable[0]}", ExitCode.BAD_INPUT
        )
    return ExitCode.OK


def _chunks(
    opened: Sequence[tuple[str, BinaryIO]], read_signed: ReadSigned, findings: Findings
) -> Iterator[list[PlacedEvent]]:
    """Yield the events of all files in chunks; note lines that cannot be used."""
    chunk: list[PlacedEvent] = []
    for name, file in opened:
        for found in _lines_of(name, file, read_signed):
            place = f"{name}, line {found.line}"
            if isinstance(found, UnusableLine):
                findings.add_unusable(f"{place}: {found.problem}")
                continue
            findings.receipts += 1
            findings.events += len(found.events)
            chunk += [PlacedEvent(place, found.signed.at, event) for event in found.events]
            if len(chunk) >= CHUNK_EVENTS:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _lines_of(name: str, file: BinaryIO, read_signed: ReadSigned) -> Iterator[UsableLine | UnusableLine]:
    try:
        yield from receipts_in(file, read_signed)
    except OSError as error:
        raise _unreadable(name, error) from error


def _look_up(
    version: PublishedVersion, lookup: "ReceiptLookup", chunk: Sequence[PlacedEvent], findings: Findings
) -> None:
    from batch_layer.settled.spark_receipts import Receipted, Wrong

    sentences = {
        Wrong.NO_VERDICT: f"version {version.version} has no verdict on it, and is settled up to "
        f"{instant_text(version.settled_until)}",
        Wrong.NO_MESSAGE: "it has a verdict, and its message is not in the archive",
        Wrong.OTHER_CONTENT: "the archive has another content under its id",
        Wrong.SEVERAL_VERDICTS: "its message has more than one verdict",
        Wrong.MISFILED: "it is judged as a view of another video or day",
    }
    wanted = [Receipted(each.event_id, each.video_id, each.event_day, each.sha256) for _, _, each in chunk]
    for index, problem in lookup.wrong(wanted, _received_on(chunk)):
        entry = chunk[index]
        if problem is Wrong.NO_VERDICT and entry.at >= version.settled_until - CLOCK_SPARE:
            findings.not_settled += 1
        elif problem is Wrong.REMOVED:
            findings.removed += 1
        else:
            findings.add_wrong(entry, problem.value, sentences[problem])
    print(
        f"receipts: {counted(findings.events, 'event')} of {counted(findings.receipts, 'receipt')} read, "
        f"{findings.wrong:,} wrong",
        file=sys.stderr,
        flush=True,
    )


def _received_on(chunk: Sequence[PlacedEvent]) -> set[date]:
    """Return the days on which the log may have received events: the instant is a moment later."""
    return {(entry.at + spare).date() for entry in chunk for spare in (-CLOCK_SPARE, CLOCK_SPARE)}


def _conclude(version: PublishedVersion | None, findings: Findings, *, as_json: bool) -> None:
    """Print the sums; raise DifferenceError if an event is not as receipted."""
    in_log = findings.events - findings.not_settled - findings.removed - findings.wrong
    if as_json:
        document = {
            "version": version.version if version else None,
            "settled_until": instant_text(version.settled_until) if version else None,
            "receipts": findings.receipts,
            "events": findings.events,
            "in_log": in_log,
            "not_settled": findings.not_settled,
            "removed": findings.removed,
            "wrong": findings.wrong,
            "wrong_events": findings.listed_wrong,
            "unusable": findings.unusable,
            "unusable_lines": findings.listed_unusable,
        }
        print(json.dumps(document))
    elif version is not None:
        print(
            f"version {version.version}: {counted(findings.events, 'receipted event')}: {in_log:,} in the "
            "log with one verdict, "
            f"{findings.not_settled:,} not settled yet, {findings.removed:,} removed on record, "
            f"{findings.wrong:,} wrong"
        )
    if findings.wrong:
        raise DifferenceError(
            f"not in the log as receipted: {counted(findings.wrong, 'event')}; {findings.listed_wrong[0]['sentence']}"
        )


def _opened(file: Path) -> BinaryIO:
    try:
        return open_regular(file)
    except OSError as error:
        raise _unreadable(str(file), error) from error


def _unreadable(name: str, error: OSError) -> CommandError:
    return CommandError(f"{name} cannot be read ({error.strerror})", ExitCode.BAD_INPUT)
