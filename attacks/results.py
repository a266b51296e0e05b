"""The table of attacks in docs/concepts/guarantees.md, made from recorded results and never typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from attacks.attempts import Outcome
from faults.guarantees import DOCUMENT, put_table, without_paths
from jobs.settings.state_home import PROJECT

RESULTS = PROJECT / "docs" / "concepts" / "attack-results.jsonl"


def record(outcome: Outcome, path: Path = RESULTS) -> None:
    """Store a result in place of an earlier one of the same attack."""
    kept = {each.attack: each for each in recorded(path)} | {outcome.attack: outcome}
    lines = [without_paths(json.dumps(asdict(each))) for each in kept.values()]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def recorded(path: Path = RESULTS) -> list[Outcome]:
    """Return the newest result of each attack."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [Outcome(**each | {"gained": tuple(each["gained"])}) for each in found]


def write_document(sentences: Mapping[str, str], results: Path = RESULTS, document: Path = DOCUMENT) -> None:
    """Write the table of all recorded results into the document."""
    put_table("attacks", table(recorded(results), sentences), document, command="attacks")


def table(outcomes: Sequence[Outcome], sentences: Mapping[str, str]) -> list[str]:
    """Return a Markdown table with one line for each attack, in the order of `sentences`."""
    found = {each.attack: each for each in outcomes}
    lines = ["| attack | what is tried, and what it would gain | tries | result |", "|---|---|---|---|"]
    for name, sentence in sentences.items():
        if (outcome := found.get(name)) is not None:
            result = ": ".join([outcome.verdict, *outcome.gained[:1]])
            lines.append(f"| {name} | {sentence} | {outcome.tries:,} | {result} |")
    return lines
