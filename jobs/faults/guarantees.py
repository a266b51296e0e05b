"""The table of results in docs/guarantees.md, made from what was recorded and never typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.faults.comparison import PASS, Outcome
from jobs.state_home import PROJECT

RESULTS = PROJECT / "docs" / "fault-results.jsonl"
DOCUMENT = PROJECT / "docs" / "guarantees.md"
BEGIN, END = "<!-- results: written by ./viewledger faults --record -->", "<!-- end of results -->"


def record(outcome: Outcome, path: Path = RESULTS) -> None:
    """Keep one result; a later one of the same fault and seed takes its place in the table."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def recorded(path: Path = RESULTS) -> list[Outcome]:
    """Return the newest result of each fault and seed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = {}
    for line in lines:
        fields = json.loads(line)
        outcome = Outcome(**fields | {name: tuple(fields[name]) for name in ("differences", "notes")})
        found[outcome.fault, outcome.seed] = outcome
    return list(found.values())


def write_document(descriptions: Mapping[str, str], results: Path = RESULTS, document: Path = DOCUMENT) -> None:
    """Put the table of all recorded results into the document."""
    text = document.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise CommandError(f"{document} has no place for the results ({BEGIN} … {END})", ExitCode.BAD_INPUT)
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = "\n".join(table(recorded(results), descriptions))
    document.write_text(f"{before}{BEGIN}\n{rows}\n{END}{after}", encoding="utf-8")


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
