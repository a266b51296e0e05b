"""The SQL server as a process on the real servers, and everything that asks it: the command, notebooks, the export."""

import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import nbclient
import nbformat
import pyarrow as pa
import pytest

from batch_layer.published.spark_connect import PublishedTables
from batch_layer.settled.iceberg_settled_events import events_by_sql_server
from ingestion.contract.periods import Period
from jobs.exit_codes import ExitCode
from jobs.local_stack.ports import free_ports
from jobs.settings.state_home import PROJECT
from tests.batch_on_stack import Batch

sys.path.append(str(PROJECT / "analysts"))
import viewledger


@pytest.fixture
def package(environ: Mapping[str, str]) -> Iterator[None]:
    viewledger.connect(environ["VIEWLEDGER_SQL_URL"], environ["VIEWLEDGER_ICEBERG_URL"])
    yield
    viewledger.connect()


def settled_views(batch: Batch, environ: Mapping[str, str], *words: str) -> int:
    done = batch.run("sql", "--format", "json", *words, "SELECT sum(views) AS n FROM views_by_video", **environ)
    assert done.returncode == ExitCode.OK, done.stderr
    return int(json.loads(done.stdout)[0]["n"])


def test_the_command_reads_the_current_version_and_any_other(
    batch: Batch, environ: Mapping[str, str], versions: int
) -> None:
    now, first = settled_views(batch, environ), settled_views(batch, environ, "--version", "1")
    assert now > first > 0
    assert settled_views(batch, environ, "--as-of", "2999-12-31") == now


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("selec 1",), ExitCode.BAD_INPUT, "the SQL cannot be read: Syntax error at or near 'selec' (line 1, pos 0)"),
        (("SELECT nope FROM events",), ExitCode.BAD_INPUT, "with name `nope` cannot be resolved"),
        (("SELECT 1", "--version", "999"), ExitCode.BAD_INPUT, "version 999 was not published; there are 1 to"),
        (("SELECT 1", "--as-of", "2001-01-01"), ExitCode.BAD_INPUT, "nothing was published by then"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    batch: Batch, environ: Mapping[str, str], words: tuple[str, ...], code: ExitCode, sentence: str
) -> None:
    done = batch.run("sql", *words, **environ)
    assert done.returncode == code
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_dead_postgres_or_sql_server_is_one_sentence(batch: Batch, environ: Mapping[str, str]) -> None:
    for changed, named in (
        ({"VIEWLEDGER_POSTGRES_URL": "postgresql://nobody@127.0.0.1:9/nothing"}, "PostgreSQL does not answer"),
        ({"VIEWLEDGER_SQL_URL": "sc://127.0.0.2:9"}, "the SQL server at sc://127.0.0.2:9 does not answer"),
    ):
        done = batch.run("sql", "SELECT 1", **{**environ, **changed})
        assert done.returncode == ExitCode.UNAVAILABLE
        assert named in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_a_notebook_reads_views_and_events_of_a_version(package: None, versions: int) -> None:
    listed = viewledger.versions()
    assert list(listed.version) == list(range(1, versions + 1))
    assert (listed.settled_until <= listed.published_at).all()
    views = viewledger.read_views(version=1)
    events = viewledger.read_events(version=1)
    assert views.views.sum() == (events.verdict == "counted").sum() > 0
    one = views.video_id[0]
    assert set(viewledger.read_views(version=1, video_id=one).video_id) == {one}
    day = views.event_day.max()
    assert viewledger.read_views(version=1, start_on=day, end_on=str(day)).empty
    assert isinstance(viewledger.read_views(arrow=True), pa.Table)
    assert viewledger.read_views(as_of="2999-12-30").equals(viewledger.read_views(version=versions))


def test_a_value_is_never_read_as_sql(package: None) -> None:
    evil = "x' OR 1 = 1 --"
    assert viewledger.read_views(video_id=evil).empty
    assert viewledger.sql("SELECT :a AS a", {"a": evil}).a[0] == evil


def test_what_a_notebook_asks_wrongly_is_one_sentence(package: None, versions: int) -> None:
    with pytest.raises(viewledger.QueryError, match=rf"version 99 was not published; there are 1 to {versions}$"):
        viewledger.read_views(version=99)
    with pytest.raises(viewledger.QueryError, match="nothing was published by 2001-01-01"):
        viewledger.read_views(as_of="2001-01-01")
    with pytest.raises(viewledger.ForbiddenError, match="is not open to analysts"):
        viewledger.sql("SELECT * FROM ledger.views.events")
    viewledger.connect("sc://127.0.0.1:9", "http://127.0.0.1:9")
    with pytest.raises(viewledger.UnavailableError, match=r"start it with \./viewledger run sql"):
        viewledger.versions()


def test_single_events_are_found_by_their_ids_and_their_videos(environ: Mapping[str, str], versions: int) -> None:
    today = datetime.now(UTC).date()
    period = Period(today - timedelta(days=2), today + timedelta(days=1))
    with closing(PublishedTables(environ["VIEWLEDGER_SQL_URL"])) as tables:
        events = events_by_sql_server(tables, versions)
        of_period = tables.query(
            f"SELECT video_id, event_id, billability FROM v{versions}.events WHERE event_day >= :start "
            "AND event_day < :end AND video_id IS NOT NULL ORDER BY video_id, event_id NULLS FIRST",
            {"start": period.start_on, "end": period.end_on},
        )
        every = of_period.to_pylist()
        copies = Counter(event["event_id"] for event in every if event["event_id"])
        for event_id, count in copies.most_common(2):
            found = events.copies_of(event_id)
            assert ([each.verdict == "counted" for each in found].index(True), len(found)) == (0, count)
        assert events.copies_of("00000000-0000-4000-8000-000000000000") == []
        for video_ids in ([every[0]["video_id"]], sorted({event["video_id"] for event in every})):
            of_videos = (each for each in every if each["video_id"] in video_ids)
            paid = [each["event_id"] for each in of_videos if each["billability"] == "billable"]
            assert [each.event_id for each in events.billable(video_ids, period)] == paid != []


def test_the_example_notebook_runs(environ: Mapping[str, str]) -> None:
    notebook = nbformat.read(PROJECT / "docs" / "operate" / "notebooks" / "views.ipynb", as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")], "it is stored without answers"
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "analysts")])
    client = nbclient.NotebookClient(notebook, timeout=120)
    client.execute(env={**os.environ, **environ, "PYTHONPATH": path})
    counted = [cell for cell in notebook.cells if "events" in "".join(cell.source) and cell.cell_type == "code"][-1]
    assert "'counted'" in counted.outputs[0]["data"]["text/plain"]


def duckdb_says(question: str) -> tuple[list[str], Any]:
    """The columns and the first value of DuckDB's answer."""
    with duckdb.connect() as connection:
        cursor = connection.execute(question)
        return [column[0] for column in cursor.description or ()], (cursor.fetchone() or (None,))[0]


def test_an_export_is_the_version_and_duckdb_reads_it(batch: Batch, environ: Mapping[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    done = batch.run("export", "--version", "1", "--to", str(folder), "--json", **environ)
    assert done.returncode == ExitCode.OK, done.stderr
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == json.loads(done.stdout)
    assert (manifest["version"], "raw_events" in manifest["tables"]) == (1, False)
    for name, table in manifest["tables"].items():
        _, rows = duckdb_says(f"SELECT count(*) FROM '{folder}/{name}/*.parquet'")
        assert rows == table["rows"] == sum(file["rows"] for file in table["files"])
        for file in table["files"]:
            assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
        columns, _ = duckdb_says(f"SELECT * FROM '{folder}/{name}/*.parquet' LIMIT 0")
        assert columns == [column["name"] for column in table["columns"]]
    _, views = duckdb_says(f"SELECT sum(views) FROM '{folder}/views_by_video_day/*.parquet'")
    assert views == settled_views(batch, environ, "--version", "1")
    again = batch.run("export", "--version", "1", "--to", str(folder), **environ)
    assert (again.returncode, "exists already" in again.stderr) == (ExitCode.BAD_INPUT, True)


def test_without_a_running_server_the_command_starts_spark_for_itself(batch: Batch, versions: int) -> None:
    unused = {"VIEWLEDGER_SQL_URL": f"sc://127.0.0.1:{free_ports().sql}"}
    done = batch.run("sql", "--format", "csv", "SELECT count(*) AS n FROM events WHERE verdict = 'none'", **unused)
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stdout == "n\n0\n"
    assert "starting Spark for this command alone" in done.stderr
