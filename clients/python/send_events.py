"""An example of a server that reports views: events in batches over HTTP, again under the same ids until answered.

    python -m clients.python.send_events http://127.0.0.1:17071/v1/events [RECEIPTS] < events.jsonl

Each line is one event with an id of its own, made once and stored with it: only then is a retry the same event. Its
`user_agent` is that of the viewer's player. The collector reads it from the request alone, so each request has the
events of one agent. What the collector rejects is printed with its reasons. The receipts of what it accepts are
appended to the file RECEIPTS.
"""

import contextlib
import gzip
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

Event = Mapping[str, Any]
BATCH_EVENTS_MAX = 500
BATCH_BYTES_MAX = 900_000
"""A little less than the collector takes, as opened."""
AGENT_LENGTH_MAX = 2048
HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
FIRST_WAIT_SECONDS, WAIT_SECONDS_MAX = 0.5, 60.0


class NotDeliveredError(Exception):
    """The events `rest` are not known to have arrived; send them again later, under the same ids."""

    def __init__(self, reason: str, rest: Sequence[Event]) -> None:
        super().__init__(f"{len(rest)} events are not delivered ({reason}); send them again under the same ids")
        self.rest = tuple(rest)


class _UnansweredError(Exception):
    """A request got no answer in all tries, or one that no retry changes."""


@dataclass(frozen=True)
class Sender:
    """Sends events to a collector. `chance` returns a number in [0, 1)."""

    url: str
    client: httpx.Client
    tries_max: int = 10
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    keep_receipt: Callable[[Mapping[str, Any]], object] | None = None
    """Called with each receipt; None: none is asked for."""

    def send(self, events: Iterable[Event]) -> list[dict[str, Any]]:
        """Return the results of the rejected events, with their places among `events`; all others are in the log.

        Raises:
            ValueError: something is not an event, or has no id; nothing was sent.
            NotDeliveredError: the collector did not answer in all tries, or refuses the whole request.
        """
        waiting = list(events)
        for each in waiting:
            if not isinstance(each, Mapping) or not (each.get("event_id") or each.get("play")):
                shown = json.dumps(each)[:80]
                raise ValueError(f"an event is an object that has its event_id before it is sent; this is not: {shown}")
        places = sorted(range(len(waiting)), key=lambda place: _agent_of(waiting[place]))
        rejected: list[dict[str, Any]] = []
        sent = 0
        for batch in _batches([waiting[place] for place in places]):
            try:
                results = self._results_of(batch)
            except _UnansweredError as error:
                raise NotDeliveredError(str(error), [waiting[place] for place in places[sent:]]) from error
            rejected += [
                {**each, "index": places[sent + each["index"]]} for each in results if each["status"] == "rejected"
            ]
            sent += len(batch)
        return sorted(rejected, key=lambda each: int(each["index"]))

    def _results_of(self, batch: Sequence[Event]) -> list[dict[str, Any]]:
        body = gzip.compress(json.dumps(batch).encode(), mtime=0)
        headers = {**HEADERS, "User-Agent": _agent_of(batch[0])}
        if self.keep_receipt is not None:
            headers["Receipt"] = "yes"
        reason = ""
        for failures in range(1, self.tries_max + 1):
            least = 0.0
            try:
                answer = self.client.post(self.url, content=body, headers=headers)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if answer.status_code == 202:
                    document = answer.json()
                    if self.keep_receipt is not None and "receipt" in document:
                        self.keep_receipt(document["receipt"])
                    results: list[dict[str, Any]] = document["results"]
                    return results
                reason = f"{answer.status_code}: {answer.text[:300]}"
                if answer.status_code not in PASSING:
                    break
                asked = answer.headers.get("retry-after", "")
                least = float(asked) if asked.isascii() and asked.isdigit() else 0.0
            if failures < self.tries_max:
                self.sleep(max(least, self._backoff(failures)))
        raise _UnansweredError(reason)

    def _backoff(self, failures: int) -> float:
        most = min(WAIT_SECONDS_MAX, FIRST_WAIT_SECONDS * 2.0 ** (failures - 1))
        return most * (0.5 + 0.5 * self.chance())


def _agent_of(event: Event) -> str:
    """Return the agent of the viewer's player as a header can carry it; empty where the event has none.

    An empty one counts as absent. The agent of this program's library is that of a script, whose views nobody is paid.
    """
    agent = event.get("user_agent")
    printable = (char for char in agent if " " <= char <= "~") if isinstance(agent, str) else ()
    return "".join(printable).strip()[:AGENT_LENGTH_MAX]


def _batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Divide events, those of one agent together, into requests that the collector takes."""
    batch: list[Event] = []
    size = 0
    for event in events:
        length = len(json.dumps(event)) + 2
        is_full = len(batch) == BATCH_EVENTS_MAX or size + length > BATCH_BYTES_MAX
        if batch and (is_full or _agent_of(event) != _agent_of(batch[0])):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


def main(words: Sequence[str], lines: Iterable[str]) -> int:
    """Send the events of lines to the URL; return 0, 1 if some were rejected or not delivered, 2 for wrong words."""
    if len(words) not in (1, 2) or not words[0].startswith(("http://", "https://")):
        usage = "usage: python -m clients.python.send_events http://HOST:PORT/v1/events [RECEIPTS] < events.jsonl"
        print(usage, file=sys.stderr)
        return 2
    with httpx.Client(timeout=30) as client, contextlib.ExitStack() as closed:
        try:
            keep = None
            if len(words) == 2:
                file = closed.enter_context(open(words[1], "a", encoding="ascii"))
                keep = lambda receipt: print(json.dumps(receipt), file=file, flush=True)  # noqa: E731
            rejected = Sender(words[0], client, keep_receipt=keep).send(
                json.loads(line) for line in lines if line.strip()
            )
        except (NotDeliveredError, ValueError, OSError, httpx.InvalidURL) as error:
            print(error, file=sys.stderr)
            return 1
    for each in rejected:
        print(json.dumps(each))
    return 1 if rejected else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
