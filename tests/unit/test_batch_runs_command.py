"""How `batch runs` shows the journal of runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from batch_layer.stages import Stages
from batch_layer.versions.ports import RunEntry
from jobs.cli import main
from jobs.commands.batch_runs import lines_of
from jobs.exit_codes import ExitCode

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUN = RunEntry("run-7", "incremental", "published", 7, NOON, NOON + timedelta(seconds=41))


def test_stages_are_kept_in_the_order_in_which_they_ended() -> None:
    stages = Stages(lambda stage, text: None)
    for name in ("record", "cut", "archive"):
        with stages.stage(name):
            pass
    assert [name for name, _ in stages.in_order()] == ["record", "cut", "archive"]


def test_a_run_shows_its_stages_in_order_and_its_days_as_ranges() -> None:
    detail = {
        "stage_seconds": [["record", 0.25], ["cut", 1.5]],
        "judged_days": ["2026-11-18", "2026-11-19", "2026-11-03"],
        "report": "/reports/run-7/index.html",
    }
    assert list(lines_of(replace(RUN, detail=detail))) == [
        "run-7  2026-11-20 12:00:00  incremental  published, version 7 in 41 s",
        "    record 0.2 s, cut 1.5 s",
        "    days 2026-11-03, 2026-11-18 to 2026-11-19",
    ]


def test_a_refused_run_shows_why_and_where_the_report_is() -> None:
    detail = {"failures": ["sums: too few"], "report": "/reports/run-8/index.html"}
    refused = replace(RUN, state="gate_failed", version=None, detail=detail)
    assert list(lines_of(refused))[1:] == ["    sums: too few", "    /reports/run-8/index.html"]


def test_a_run_of_an_earlier_release_and_one_that_goes_on_can_be_shown() -> None:
    assert list(lines_of(replace(RUN, detail={"stage_seconds": {"cut": 1.0}})))[1] == "    cut 1.0 s"
    going_on = replace(RUN, state="running", version=None, ended_at=None)
    assert list(lines_of(going_on)) == ["run-7  2026-11-20 12:00:00  incremental  running"]


@pytest.mark.parametrize("words", [["versions"], ["runs"], ["label", "1", "October"]])
def test_what_reads_postgres_alone_needs_no_address_of_hdfs(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIEWLEDGER_POSTGRES_URL", "postgresql://nobody@127.0.0.1:9/nothing")
    monkeypatch.delenv("VIEWLEDGER_HDFS_URL", raising=False)
    assert main(["batch", *words]) == ExitCode.UNAVAILABLE
    assert capsys.readouterr().err.startswith("viewledger: PostgreSQL does not answer (connection to server at")
