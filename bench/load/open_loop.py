"""Open-loop load on view counts: each request is due at a time of its own, independent of the server's answers.

    python -m bench.load.open_loop http://127.0.0.1:17070 --clients 1000 --rate 500 --seconds 20 [--paths FILE]

Each client keeps one connection and has Poisson arrivals. A request's time runs from the moment it was due, also when
the client still waited for an answer then: so a server that stops for a second has slowed down every request of
that second (no coordinated omission).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
DEFAULT_PATHS = tuple(f"/v1/videos/video-{number}/views" for number in range(2_000))


class Tally:
    """The milliseconds of every request since it was due, and its status."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def report(self, seconds: float) -> dict[str, object]:
        """Return the figures of a run."""
        cuts = statistics.quantiles(self.milliseconds, n=1000) if len(self.milliseconds) > 1 else [0.0] * 999
        return {
            "requests": len(self.milliseconds),
            "per_second": round(len(self.milliseconds) / seconds, 1),
            "p50_ms": round(cuts[499], 2),
            "p99_ms": round(cuts[989], 2),
            "p99.9_ms": round(cuts[998], 2),
            "max_ms": round(max(self.milliseconds, default=0.0), 2),
            "outcomes": dict(self.outcomes),
        }


async def client(address: tuple[str, int], paths: list[str], gap: float, until: float, tally: Tally) -> None:
    """Run one client: send a request at each due moment, or as soon as the one before was answered."""
    host, port = address
    due = time.monotonic() + random.expovariate(1 / gap)
    streams = None
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        try:
            if streams is None or streams[0].at_eof():
                async with asyncio.timeout(CONNECT_SECONDS):
                    streams = await asyncio.open_connection(host, port)
            async with asyncio.timeout(ANSWER_SECONDS):
                status, closes = await ask(*streams, host, random.choice(paths))
            tally.outcomes[status] += 1
            if closes:
                streams[1].close()
                streams = None
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            tally.outcomes[type(error).__name__] += 1
            streams = None
        tally.milliseconds.append((time.monotonic() - due) * 1000)
        due += random.expovariate(1 / gap)
    if streams is not None:
        streams[1].close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> tuple[str, bool]:
    """Send one request; return the status and whether the server closes the connection."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("content-length:")[2].partition("\r\n")[0]
    await reader.readexactly(int(length or 0))
    return head.split(" ", 2)[1], "\r\nconnection: close" in head


async def run(url: str, *, clients: int, rate: float, seconds: float, paths: list[str]) -> dict[str, object]:
    """Put `rate` requests a second on a server, spread over `clients` clients."""
    parts = urlsplit(url)
    tally, until = Tally(), time.monotonic() + seconds
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    await asyncio.gather(*(client(address, paths, clients / rate, until, tally) for _ in range(clients)))
    return tally.report(seconds)


def main() -> None:
    """Print one JSON object; exit with 1 if an answer was not 200."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second, over all clients")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--paths", type=Path, help="a file with a path a line; default: ids that nobody knows")
    chosen = parser.parse_args()
    paths = chosen.paths.read_text().split() if chosen.paths else list(DEFAULT_PATHS)
    found = asyncio.run(run(chosen.url, clients=chosen.clients, rate=chosen.rate, seconds=chosen.seconds, paths=paths))
    print(json.dumps(found))
    sys.exit(0 if set(found["outcomes"]) == {"200"} else 1)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
