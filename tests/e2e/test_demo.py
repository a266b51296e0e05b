"""The main job, whole and on real servers, as a newcomer runs it: by the command."""

import json
import subprocess
from pathlib import Path

import pytest

from jobs.exit_codes import ExitCode
from jobs.settings.state_home import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def viewledger(*words: str, seconds: float = 1_800) -> "subprocess.CompletedProcess[str]":
    command = [str(PROJECT / "viewledger"), *words]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=seconds, check=False)


def test_the_demo_ends_with_difference_0_in_every_row() -> None:
    done = viewledger("demo", "--events", "20000", "--json")
    assert done.returncode == ExitCode.OK, done.stderr[-3000:] + done.stdout[-3000:]
    rows = json.loads(done.stdout)["rows"]
    assert {row["name"]: row["difference"] for row in rows if row["difference"]} == {}
    seen = {row["name"]: row["actual"] for row in rows}
    # the rows compare something: every kind of event is there, and money was posted
    for verdict in ("counted", "duplicate", "conflict", "rejected", "late_review", "invalid_traffic"):
        assert seen[f"verdict {verdict}"] > 0, verdict
    for family in ("robots", "tireless viewers", "shared session", "travelling account"):
        assert seen[f"{family}: invalid"] > 0, family
    assert seen["day of 33 hours: under review"] > 0
    for family in ("school class", "looped song", "relay users", "odd devices"):
        assert seen[f"{family}: paid"] > 0, family
    assert seen["served provisional_views"] > 0
    assert seen["billed views"] > 0
    assert seen["paid + carried"] > 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["demo", "--events", "7"], "20000"),
        (["demo", "--seed", "x"], "--seed"),
        (["batch", "walk"], "walk"),
        (["billing", "run", "--period", "2026-13"], "2026-13"),
        (["ingest", "/no/such/file.jsonl"], "/no/such/file.jsonl"),
        (["fly"], "fly"),
    ],
)
def test_wrong_words_get_one_clear_sentence_and_no_stack_trace(words: list[str], named: str) -> None:
    done = viewledger(*words)
    assert done.returncode == ExitCode.BAD_INPUT, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reference_lists_every_exit_code_and_command() -> None:
    page = Path(PROJECT, "docs", "reference", "commands.md").read_text(encoding="utf-8")
    listed = {int(line.split("|")[1]) for line in page.splitlines() if line.startswith("| ") and line[2].isdigit()}
    assert listed == {int(code) for code in ExitCode}
    overview = viewledger("help").stdout
    commands = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
    assert len(commands) > 8
    assert not [name for name in commands if f"`{name}" not in page]
