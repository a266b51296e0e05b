"""`./viewledger billing events | event`: which events a statement pays, and what became of one event."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from batch_layer.published.spark_connect import QueryError
from billing.errors import UnknownNameError
from billing.proof.event_answers import EventAnswer, PartAnswer
from ingestion.contract.event import event_id_of
from ingestion.contract.printable import escaped
from jobs.commands.flags import whole_number
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import Actions, add_action
from jobs.wiring.event_proofs import open_event_answers, payment_of
from serving_layer.money.proofs import AFTER_MAX, CSV, NDJSON, PaidEvent, is_statement_id, written

AUDITOR_ROLE = "viewledger_auditor"


def add_actions(actions: Actions) -> None:
    """Declare the actions."""
    events = add_action(actions, "events", list_events, "the events that a statement pays, one a line")
    events.add_argument("--statement", required=True, metavar="ID", help="32 hex digits, as `billing statement` shows")
    events.add_argument(
        "--after", type=whole_number, default=0, metavar="N", help="go on after the event with this number"
    )
    events.add_argument("--format", choices=("csv", "ndjson"), default="csv")
    one = add_action(actions, "event", show_event, "what became of one event: paid in which line, or why not")
    one.add_argument("event_id", metavar="EVENT_ID")


def list_events(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Write the events to standard output as they are read."""
    if not is_statement_id(arguments.statement):
        raise CommandError(f"--statement is {arguments.statement!r}; it must be 32 hex digits", ExitCode.BAD_INPUT)
    if not 0 <= arguments.after <= AFTER_MAX:
        raise CommandError("--after is the number of the last event you have: 0 or more", ExitCode.BAD_INPUT)
    form = NDJSON if arguments.json or arguments.format == "ndjson" else CSV
    with _asked(), open_event_answers(environ, AUDITOR_ROLE) as answers:
        head = answers.books.statement(arguments.statement)
        if head is None:
            raise UnknownNameError(f"there is no statement {arguments.statement}; `billing statement` shows the ids")
        rows = (
            PaidEvent(number, paid.event.video_id, paid.event.event_id, tuple(line.line_index for line in paid.lines))
            for number, paid in answers.statement_events(head, arguments.after)
        )
        _write(written(rows, form))
    return ExitCode.OK


def show_event(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print what became of an event; REFUSED for an id that is not settled."""
    event_id = event_id_of(arguments.event_id)
    if event_id is None:
        raise CommandError(f"{arguments.event_id!r} is not an event id; it must be a UUID", ExitCode.BAD_INPUT)
    with _asked(), open_event_answers(environ, AUDITOR_ROLE) as answers:
        answer = answers.payment(event_id)
    document: dict[str, Any] = msgspec.to_builtins(payment_of(answer))
    print(json.dumps(document) if arguments.json else escaped(_text(answer)))
    return ExitCode.REFUSED if answer.status == "unknown" else ExitCode.OK


def _text(answer: EventAnswer) -> str:
    head = f"event {answer.event_id}: {answer.status}"
    lines = [head + (f", {answer.reason}" if answer.reason else "") + f" (batch version {answer.version})"]
    for index, copy in enumerate(answer.copies):
        of = "" if index == 0 or copy.verdict not in ("duplicate", "conflict") else " of the first"
        place = f"partition {copy.partition} offset {copy.offset}"
        lines.append(f"  received {copy.received_at} at {place}, video {copy.video_id or '-'}: {copy.verdict}{of}")
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
