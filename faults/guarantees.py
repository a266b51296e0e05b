"""The tables of results in docs/concepts/guarantees.md, made from recorded results and never typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from faults.comparison import PASS, Outcome
from faults.soak import SoakResult
from ingestion.contract.printable import counted
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT, state_home

RESULTS = PROJECT / "docs" / "concepts" / "fault-results.jsonl"
DOCUMENT = PROJECT / "docs" / "concepts" / "guarantees.md"
SOAKS = PROJECT / "docs" / "concepts" / "soak-results.jsonl"


def record(outcome: Outcome, path: Path = RESULTS) -> None:
    """Store one result; a later one of the same fault and seed replaces it in the table."""
    with path.open("a", encoding="utf-8") as file:
        file.write(without_paths(json.dumps(asdict(outcome))) + "\n")


def recorded(path: Path = RESULTS) -> list[Outcome]:
    """Return the newest result of each fault and seed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = {}
    for line in lines:
        fields = json.loads(line)
        outcome = Outcome(**fields | {name: tuple(fields[name]) for name in ("differences", "notes")})
        found[outcome.fault, outcome.seed] = outcome
    return list(found.values())


def record_soak(soak: SoakResult, path: Path = SOAKS) -> None:
    """Store the result of a soak."""
    with path.open("a", encoding="utf-8") as file:
        file.write(without_paths(json.dumps(asdict(soak))) + "\n")


def recorded_soaks(path: Path = SOAKS) -> list[SoakResult]:
    """Return the results of all soaks."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [
        SoakResult(
            **each
            | {
                "differences": tuple(each["differences"]),
                "memory": {name: (mean, growth) for name, (mean, growth) in each["memory"].items()},
            }
        )
        for each in found
    ]


def write_document(
    descriptions: Mapping[str, str], results: Path = RESULTS, document: Path = DOCUMENT, soaks: Path = SOAKS
) -> None:
    """Write the tables of all recorded results into the document."""
    put_table("results", table(recorded(results), descriptions), document)
    put_table("soaks", soak_table(recorded_soaks(soaks)), document)


def put_table(name: str, rows: Sequence[str], document: Path = DOCUMENT, *, command: str = "faults") -> None:
    """Write the rows of a table to its place in the document.

    Raises:
        CommandError: the document has no such place.
    """
    text = document.read_text(encoding="utf-8")
    begin, end = place_of(name, command)
    if begin not in text or end not in text:
        raise CommandError(f"{document} has no place for the {name} ({begin} … {end})", ExitCode.BAD_INPUT)
    before, _, rest = text.partition(begin)
    document.write_text("\n".join([before + begin, *rows, end]) + rest.partition(end)[2], encoding="utf-8")


def place_of(name: str, command: str = "faults") -> tuple[str, str]:
    """Return the marks around the table that a command writes."""
    return f"<!-- {name}: written by ./viewledger {command} --record -->", f"<!-- end of {name} -->"


def without_paths(text: str) -> str:
    """Return a text of a result without the folders of the machine that made it."""
    return text.replace(str(state_home()), "<state>").replace(str(PROJECT), "<project>")


def table(outcomes: Sequence[Outcome], descriptions: Mapping[str, str]) -> list[str]:
    """Return a Markdown table with one line for each fault, in the order of `descriptions`."""
    lines = ["| fault | what happens | passed | seeds | events | longest recovery |", "|---|---|---|---|---|---|"]
    for name, text in descriptions.items():
        runs = sorted((each for each in outcomes if each.fault == name), key=lambda each: each.seed)
        if not runs:
            continue
        passed = sum(each.verdict == PASS for each in runs)
        recoveries = [each.recovery_seconds for each in runs if each.recovery_seconds is not None]
        slowest = f"{max(recoveries):.1f} s" if recoveries else "none is due"
        seeds, events = ", ".join(str(each.seed) for each in runs), sum(each.events for each in runs)
        lines.append(f"| {name} | {text} | {passed} of {len(runs)} | {seeds} | {events:,} | {slowest} |")
    return lines


def soak_table(soaks: Sequence[SoakResult]) -> list[str]:
    """Return a Markdown table with one line for each soak."""
    lines = [
        "| seed | verdict | sent | faults | longest until caught up | most lag | memory in the second half | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in soaks:
        sent = (
            f"{counted(each.events, 'event')} in {each.minutes} min: {each.rate:,.0f}/s of {each.rate_asked:,}/s asked"
        )
        hurt = ", ".join(f"{name} {count}x" for name, count in sorted(each.faults.items()))
        memory = ", ".join(
            f"{name} {mean / 2**20:.0f} MiB {growth / 2**20:+.1f} MiB" for name, (mean, growth) in each.memory.items()
        )
        why = f": {'; '.join(each.differences)}" if each.differences else ""
        caught_up = f"{each.recovery_seconds_max} s | {each.lag_max:,}"
        lines.append(f"| {each.seed} | {each.verdict}{why} | {sent} | {hurt} | {caught_up} | {memory} | {each.load} |")
    return lines
