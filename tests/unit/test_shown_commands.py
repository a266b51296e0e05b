"""Every command that a page shows is given to the command line's own parser."""

import itertools
import re
import shlex

import pytest

from jobs.command_line.root import ROOT
from jobs.errors import CommandError
from jobs.settings.state_home import PROJECT
from serving_layer.portal.http_finance_pages import CHECKS, KINDS, STEPS
from tests.command_lines import parsed

PORTAL = PROJECT / "serving_layer" / "portal"
EXAMPLES = {
    "PERIOD": "2026-10",
    "{figures.period}": "2026-10",
    "PLACE": "0:7",
    "WHY": "seen",
    "NAME": "2026-10-03/crowd/ann/40-1",
    "{{ each.proposal_id }}": "rates:2",
}
OF_VARIABLES = {"{{ command }}", "{{ decide }}", "{{ review }}"}
"""What they stand for is in `CHECKS`, `STEPS` and `KINDS`."""


def in_templates() -> set[str]:
    """What the pages show as code."""
    pages = sorted((PORTAL / "templates").glob("*.html"))
    return {each for page in pages for each in re.findall(r"<code>(.*?)</code>", page.read_text(), re.DOTALL)}


def in_sentences() -> set[str]:
    """What sentences have between backticks and begins with a command's first word."""
    files = [PROJECT / "billing" / "closing.py", *sorted(PORTAL.glob("*.py"))]
    quoted = {each for file in files for each in re.findall(r"`([^`\n]+)`", file.read_text())}
    return {each for each in quoted if each.removeprefix("./viewledger ").split()[0] in ROOT.commands}


SHOWN = sorted(
    {line for _, _, line in (CHECKS | STEPS).values() if line}
    | {line for kind in KINDS.values() for line in (kind.decide, kind.review)}
    | (in_templates() - OF_VARIABLES)
    | in_sentences()
)


def readings(line: str) -> list[list[str]]:
    """The command lines that a usage stands for: one for each choice of its `a|b`, with examples for its names."""
    for name, example in EXAMPLES.items():
        line = line.replace(name, example)
    words = shlex.split(re.sub(r"[\[\]]", "", line.removeprefix("./viewledger ")))
    return [list(each) for each in itertools.product(*(word.split("|") for word in words))]


def refusal(words: list[str]) -> str:
    """Why the command line does not take a line, or nothing. What only names a command may leave its flags out."""
    try:
        parsed(words)
    except CommandError as error:
        only_names_it = not any(word.startswith("--") for word in words)
        return "" if only_names_it and re.match(r"--\S+ is missing; give it as ", str(error)) else str(error)
    return ""


@pytest.mark.parametrize("line", SHOWN)
def test_the_command_line_takes_every_command_that_a_page_shows(line: str) -> None:
    assert [refusal(words) for words in readings(line)] == [""] * len(readings(line))


def test_the_commands_of_pages_are_seen() -> None:
    assert len(SHOWN) > 20
    assert {"billing nightly", "./viewledger reconcile", "traffic decide"} < set(SHOWN)


@pytest.mark.parametrize("line", ["traffic groups decide", "billing late list --as accepted", "billing late judge"])
def test_a_command_that_there_is_not_is_found(line: str) -> None:
    assert all(map(refusal, readings(line)))
