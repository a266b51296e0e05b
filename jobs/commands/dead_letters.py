"""`./viewledger dead-letters`: the rejected messages with their reasons, and one of them sent again."""

import argparse
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from ingestion.contract.printable import escaped, is_name
from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.commands.flags import whole_number
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.dead_letters import open_replay
from speed_layer.dead_letter import DeadLetter
from speed_layer.kafka_dead_letter_replay import ReplayRefusedError

TEXT_SHOWN = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest rejected messages and why")
    listing.add_argument("--limit", type=whole_number, default=20, metavar="N", help="how many, 1 to 1000 (default 20)")
    listing.add_argument("--json", action="store_true", help="print one JSON document, messages whole")
    again = actions.add_parser("replay", help="send one message again under its own id, once")
    again.add_argument("place", metavar="PARTITION:OFFSET", help="where it stands on the log, as `list` shows it")
    again.add_argument("--actor", required=True, metavar="NAME", help="who sends it again; stored")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run one action."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its chatter says no more than our one sentence
    try:
        return (_list if arguments.action == "list" else _replay)(arguments, settings.environment())
    except ReplayRefusedError as error:
        raise CommandError(f"nothing was sent: {error}", ExitCode.REFUSED) from error
    except UnavailableError as error:
        raise CommandError(f"{error}; run ./viewledger doctor", ExitCode.UNAVAILABLE) from error


def _list(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    if not 1 <= arguments.limit <= 1000:
        raise CommandError(f"--limit is {arguments.limit}; it must be from 1 to 1000", ExitCode.BAD_INPUT)
    letters = open_replay(environ).newest(arguments.limit)
    if arguments.json:
        print(json.dumps([_document(letter) for letter in letters]))
    else:
        print(escaped("\n".join(map(_line, letters))) or "no dead letters")
    return ExitCode.OK


def _replay(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    found = re.fullmatch(r"(\d{1,9}):(\d{1,18})", arguments.place, re.ASCII)
    actor = arguments.actor.strip()
    if found is None:
        raise CommandError(f"{arguments.place!r} is not a place; it looks like 3:1881", ExitCode.BAD_INPUT)
    if not is_name(actor, most=100):
        raise CommandError("--actor needs 1 to 100 printable characters", ExitCode.BAD_INPUT)
    open_replay(environ).replay(int(found[1]), int(found[2]), actor)
    print(f"message {arguments.place} was sent again")
    return ExitCode.OK


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
