"""What is written names commands as they are spelt now."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from jobs.command_line.old_spellings import OLD_SPELLINGS, respelled
from jobs.settings.state_home import PROJECT

FOLDERS = (
    "docs",
    "ingestion",
    "batch_layer",
    "serving_layer",
    "billing",
    "jobs",
    "faults",
    "attacks",
    "deploy",
    "bench",
)
ENDINGS = {".md", ".py", ".html", ".yml"}
EXEMPT = {PROJECT / "jobs" / "command_line" / "old_spellings.py"}
SPAN = re.compile(
    r"`(?:\./viewledger )?(billing [^`\n]*)`|\./viewledger (billing [^`\n]*)|<code>(billing [^<]*)</code>"
)


def files() -> Iterator[Path]:
    yield from (PROJECT / "README.md", PROJECT / "ARCHITECTURE.md", PROJECT / "docker-compose.yml")
    for folder in FOLDERS:
        yield from (path for path in (PROJECT / folder).rglob("*") if path.suffix in ENDINGS and path not in EXEMPT)


def commands(text: str) -> Iterator[list[str]]:
    for found in SPAN.finditer(text):
        yield re.sub(r"[\"'\\]", "", next(filter(None, found.groups()))).split()


def test_the_reader_of_commands_sees_old_spellings() -> None:
    lines = [f"`{each.old} {each.having}`, ./viewledger {each.old} {each.having}" for each in OLD_SPELLINGS]
    found = [words for line in lines for words in commands(line)]
    assert len(found) == 2 * len(OLD_SPELLINGS)
    assert all(respelled(words)[1] for words in found)
    assert not respelled(shlex.split("billing statements list --state held"))[1]


def test_no_old_spelling_is_left_in_what_is_written() -> None:
    seen = 0
    old = []
    for path in files():
        for words in commands(path.read_text()):
            seen += 1
            if respelled(words)[1]:
                old.append(f"{path.relative_to(PROJECT)}: {' '.join(words)}")
    assert seen > 100
    assert not old
