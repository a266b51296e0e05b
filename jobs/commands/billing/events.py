"""`./viewledger billing events …`: the events that a statement pays, and the result of one event."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from batch_layer.published.published_names import QueryError
from billing.errors import UnknownNameError
from billing.proof.event_answers import EventAnswer, PartAnswer
from ingestion.contract.printable import escaped
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_work import billing_work
from jobs.wiring.event_proofs import open_event_answers, payment_of
from serving_layer.money.proofs import CSV, NDJSON, PaidEvent, written

AUDITOR_ROLE = "viewledger_auditor"


@billing_work
def list_events(environ: Mapping[str, str], *, statement: str, after: int, format: str, as_json: bool) -> ExitCode:
    """Write the events to standard output as they are read."""
    form = NDJSON if as_json or format == "ndjson" else CSV
    with _asked(), open_event_answers(environ, AUDITOR_ROLE) as answers:
        head = answers.books.statement(statement)
        if head is None:
            raise UnknownNameError(f"there is no statement {statement}; `billing statements show` shows the ids")
        rows = (
            PaidEvent(number, paid.event.video_id, paid.event.event_id, tuple(line.line_index for line in paid.lines))
            for number, paid in answers.statement_events(head, after)
        )
        _write(written(rows, form))
    return ExitCode.OK


@billing_work
def show_event(environ: Mapping[str, str], *, event_id: str, as_json: bool) -> ExitCode:
    """Print the result of an event; REFUSED for an id that is not settled."""
    with _asked(), open_event_answers(environ, AUDITOR_ROLE) as answers:
        answer = answers.payment(event_id)
    document: dict[str, Any] = msgspec.to_builtins(payment_of(answer))
    print(json.dumps(document) if as_json else escaped(_text(answer)))
    return ExitCode.REFUSED if answer.status == "unknown" else ExitCode.OK


def _text(answer: EventAnswer) -> str:
    head = f"event {answer.event_id}: {answer.status}"
    lines = [head + (f", {answer.reason}" if answer.reason else "") + f" (batch version {answer.version})"]
    for index, copy in enumerate(answer.copies):
        of = "" if index == 0 or copy.verdict not in ("duplicate", "conflict") else " of the first"
        why = f" ({'; '.join(copy.reasons)})" if copy.verdict == "invalid_traffic" else ""
        place = f"partition {copy.partition} offset {copy.offset}"
        lines.append(f"  received {copy.received_at} at {place}, video {copy.video_id or '-'}: {copy.verdict}{of}{why}")
    return "\n".join(lines + [line for part in answer.parts for line in _part_lines(part)])


def _part_lines(part: PartAnswer) -> Iterable[str]:
    yield f"  payee {part.payee_id}: {part.status}" + (f", {part.reason}" if part.reason else "")
    if part.statement is not None and part.line is not None and part.proof is not None:
        yield f"    line {part.line.line_index} of statement {part.statement.statement_id}, {part.statement.period}"
        yield f"    leaf {part.proof.leaf_index} of {part.proof.leaf_count} under root {part.line.evidence_root}"
        yield from (f"    {each.hex()}" for each in part.proof.path)


def _write(chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except QueryError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from error
