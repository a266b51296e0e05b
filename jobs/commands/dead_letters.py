"""`./viewledger dead-letters`: list the rejected messages with their reasons, and send one of them again."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ingestion.contract.dead_letter import DeadLetter
from ingestion.contract.printable import escaped
from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.checkup.kafka_access import READ, WRITE, check_access
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.servers import TOPIC_DEAD_LETTERS, TOPIC_VIDEO_VIEWS
from jobs.wiring.dead_letters import open_replay
from speed_layer.kafka_dead_letter_replay import ReplayRefusedError

TEXT_SHOWN = 100


def list_letters(*, limit: int, as_json: bool) -> ExitCode:
    """Print the newest rejected messages."""
    with _errors_as_exit_codes():
        environ = settings.environment()
        check_access(read_brokers(environ), {TOPIC_DEAD_LETTERS.read(environ): (READ,)})
        letters = open_replay(environ).newest(limit)
    if as_json:
        print(json.dumps([_document(letter) for letter in letters]))
    else:
        print(escaped("\n".join(map(_line, letters))) or "no dead letters")
    return ExitCode.OK


def replay(*, place: tuple[int, int], actor: str) -> ExitCode:
    """Send one message again; REFUSED if it cannot be sent, or was sent before."""
    partition, offset = place
    with _errors_as_exit_codes():
        environ = settings.environment()
        check_access(read_brokers(environ), {TOPIC_VIDEO_VIEWS.read(environ): (READ, WRITE)})
        open_replay(environ).replay(partition, offset, actor)
    print(f"message {partition}:{offset} was sent again")
    return ExitCode.OK


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    """Give the errors of a command their exit codes."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its chatter says no more than our one sentence
    try:
        yield
    except ReplayRefusedError as error:
        raise CommandError(f"nothing was sent: {error}", ExitCode.REFUSED) from error
    except UnavailableError as error:
        raise CommandError(f"{error}; run ./viewledger doctor", ExitCode.UNAVAILABLE) from error


def _document(letter: DeadLetter) -> dict[str, Any]:
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "appended_at": letter.appended_at.isoformat(),
        "event_id": letter.event_id,
        "reasons": list(letter.reasons),
        "text": letter.text,
    }


def _line(letter: DeadLetter) -> str:
    text = letter.text if len(letter.text) <= TEXT_SHOWN else letter.text[:TEXT_SHOWN] + "…"
    place, at = f"{letter.partition}:{letter.offset}", letter.appended_at
    return f"{place:<12} {at:%Y-%m-%d %H:%M:%S} UTC  {'; '.join(letter.reasons)}\n{'':<12} {text!r}"
