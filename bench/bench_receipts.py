"""Receipts: what one costs the collector and those who check it, and the collector's requests with and without.

    python -m bench.bench_receipts [--seconds 5] [--rounds 3] [--work]

Two collectors with the same settings, one of which gives every request a receipt, are loaded in turns as
`bench_collector` does: one event a request, 64 connections. `--work` measures the work alone, without HTTP and without
Kafka: microseconds of a receipt by its number of events, beside the bare signature, and receipts read a second.
"""

import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import msgspec

from bench.bench_api import Measured, compared, load, median, server
from bench.bench_collector import OURS, SIXTY_FOUR, event, kafka_and_load, measured
from ingestion.intake import AdmittedEvent, Origin, admit, arrival
from ingestion.jwt_receipts import key_set_with_new, receipt_keys, receipts_by, signed_reader
from ingestion.receipts import Sign, read_receipt, receipt_of, receipted
from jobs.local_stack.ports import free_ports

REPEATS = 500


def main() -> None:
    """Print each run and the ratio, or the work on a receipt."""
    measured(__doc__, measure_requests, measure_work)


def measure_requests(seconds: int, rounds: int) -> None:
    """Load a collector without and one with receipts in turns."""
    with kafka_and_load() as (stack, folder):
        ports = free_ports()
        served = {"off": (ports.collector, "0"), "on": (ports.api, "1")}
        environs = {
            name: {
                **stack.environment,
                "VIEWLEDGER_COLLECTOR_PORT": str(port),
                "VIEWLEDGER_COLLECTOR_METRICS_PORT": "0",
                "VIEWLEDGER_RECEIPTS": receipts,
            }
            for name, (port, receipts) in served.items()
        }
        ours = [sys.executable, "-c", OURS]
        figures: dict[str, list[Measured]] = {name: [] for name in served}
        with (
            server(ours, served["off"][0], environs["off"], probe="/healthz") as off,
            server(ours, served["on"][0], environs["on"], probe="/healthz") as on,
        ):
            for _ in range(rounds):
                for name, process in (("off", off), ("on", on)):
                    found = load(served[name][0], SIXTY_FOUR, seconds=seconds, folder=folder, pid=process.pid)
                    figures[name].append(found)
                    print(f"receipts {name:>3}: {found}", flush=True)
        print(f"{SIXTY_FOUR}: {compared(median(figures['off']), median(figures['on']))}")


def measure_work(rounds: int) -> None:
    """Print what a receipt costs, made and read."""
    keys = receipt_keys(key_set_with_new((), "bench"))
    sign, read_signed = receipts_by(keys, are_for_all=True).sign, signed_reader(keys)
    assert sign is not None
    private = keys[0].private
    assert private is not None
    message = secrets.token_bytes(200)
    print(f"one signature alone: {best_micros(lambda: private.sign(message), rounds):.1f} µs", flush=True)
    for count in (1, 40, 500):
        admitted = admitted_events(count)
        for with_paths in (False, True):
            made = msgspec.json.encode(given(admitted, sign, with_paths=with_paths))
            micros = best_micros(partial(given, admitted, sign, with_paths=with_paths), rounds)
            read = best_micros(partial(read_receipt, made, read_signed), rounds)
            form = "with paths" if with_paths else "whole"
            print(f"{count} events, {form}: made in {micros:.1f} µs, {len(made):,} bytes, read in {read:.1f} µs")


def given(admitted: list[AdmittedEvent], sign: Sign, *, with_paths: bool) -> object:
    """Make a receipt, as the collector does after the acknowledgement."""
    return receipt_of([receipted(each) for each in admitted], datetime.now(UTC), sign, with_paths=with_paths)


def best_micros(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU microseconds of one call, the best of some rounds: others may use the machine."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(REPEATS):
            work()
        best = min(best, (time.process_time() - started) / REPEATS * 1e6)
    return best


def admitted_events(count: int) -> list[AdmittedEvent]:
    """Return events as the collector admits them."""
    now = datetime.now(UTC)
    came = arrival(now, Origin("192.0.2.0/24", "Player/1.0"), broker_time=now)
    outcomes = [admit(event(number, None), came, b"k" * 32) for number in range(count)]
    return [each for each in outcomes if isinstance(each, AdmittedEvent)]


if __name__ == "__main__":
    main()
