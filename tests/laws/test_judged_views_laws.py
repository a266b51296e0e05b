"""An auditor's files, read from the tables of a version, let the stand-alone verifier find every reason again."""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from batch_layer.lake.iceberg_tables import NAMESPACE
from batch_layer.lake.tables import TRAFFIC_OUTCOMES, VIEWERS
from batch_layer.run.run import run_once
from batch_layer.settled.iceberg_settled_events import events_at_snapshots
from batch_layer.settled.spark_judged_views import SparkJudgedViews
from billing.proof.file_bundle import JUDGED_COLUMNS, OUTCOME_COLUMNS
from ingestion.contract.allowed_traffic import AllowedKind, AllowedTraffic
from ingestion.contract.periods import Period
from ingestion.contract.traffic_policy import SHIPPED, traffic_document
from jobs.wiring.traffic_rules import allowed_numbers, traffic_rules
from tests.batch_fakes import TOPIC
from tests.laws.test_judged_traffic_laws import RULED_FROM, busy_viewer, new_catalogue
from tests.random_logs import PARTITIONS, START, anything, cut_somewhere, grow, no_gate, one_id, worlds
from tests.spark_fixtures import TRAITS_KEY, MemoryRun
from tests.verifier import verifier

MONTH = Period(date(2026, 11, 1), date(2026, 12, 1))
POLICY = replace(
    SHIPPED,
    version=3,
    effective_from_on=RULED_FROM,
    at_once_review=2,
    at_once_invalid=2,
    at_once_times_review=1,
    at_once_times_invalid=1,
    session_viewers_review=2,
    session_networks_review=1,
    allowed=(
        AllowedTraffic(AllowedKind.NETWORK, "192.0.12.0/24", date(2027, 1, 1), ("shared_session",), "a school"),
        AllowedTraffic(AllowedKind.PAYEE, "q", START.date(), ("lockstep",), "its own player"),
    ),
)


@dataclass
class Files:
    """The two files of a bundle for an auditor, without the rest of it."""

    traffic: SparkJudgedViews
    catalogue_version: int
    entries: set[str] = field(default_factory=set)
    """The numbers of the entries of the allow-list that views are of."""
    start_on = MONTH.start_on
    end_on = MONTH.end_on

    @property
    def versions(self) -> dict[str, int]:
        return {"batch": 1, "catalogue": self.catalogue_version}

    @property
    def days_left_out(self) -> set[str]:
        return {day.isoformat() for day in self.traffic.days_left_out}

    def rows(self, name: str) -> Iterator[tuple[int, dict[str, str]]]:
        is_views = name == verifier.JUDGED
        columns = JUDGED_COLUMNS if is_views else OUTCOME_COLUMNS
        assert ",".join(columns) == verifier.COLUMNS[name]
        found = self.traffic.views() if is_views else self.traffic.outcomes()
        for number, row in enumerate(found, 2):
            if is_views:
                self.entries.update(row[-1].split())
            yield number, {key: "" if cell is None else str(cell) for key, cell in zip(columns, row, strict=True)}


def judged_again(run: MemoryRun, spark: SparkSession) -> dict[str, int]:
    """Let the verifier judge the days of the newest version again."""
    version, number = run.versions.published[-1], len(run.catalogue.versions)
    database = sqlite3.connect(":memory:")
    database.executescript(verifier.SCHEMA)
    lengths = [(video_id, facts.length_seconds) for video_id, facts in run.catalogue.versions[-1].items()]
    database.executemany("INSERT INTO videos VALUES (?, ?)", lengths)
    owners = [
        (video, str(start), str(end), payee, ppm) for video, payee, ppm, start, end in run.catalogue.shares[number]
    ]
    database.executemany("INSERT INTO owners VALUES (?, ?, ?, ?, ?)", owners)
    for line, each in enumerate(events_at_snapshots(spark, version).events(MONTH), 2):
        place = (each.partition, each.offset, each.event_id, each.video_id, str(each.event_day))
        rest = (each.country, each.view_duration or 0, each.outcome, line)
        database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, *rest))
    found = verifier.Found(database, reader="auditor", first_day=str(MONTH.start_on))
    found.contents["version", "1"] = {
        "day_rules": {str(day): each.to_json() for day, each in version.day_rules.items()}
    }
    found.thresholds[POLICY.version] = traffic_document(POLICY)
    traffic = SparkJudgedViews(
        spark, version, run.catalogue, MONTH, b"key of this reading alone", allowed_numbers([POLICY], TRAITS_KEY)
    )
    files = Files(traffic, number)
    return verifier.check_reasons(files, found) | {"entries_about_somebody": len(files.entries)}


@pytest.mark.usefixtures("empty_tables")
def test_the_verifier_finds_the_reasons_of_a_version_and_a_changed_one_is_named(
    spark: SparkSession, tmp_path: Path
) -> None:
    rng = random.Random(11)
    rules = traffic_rules([POLICY], TRAITS_KEY)
    run = MemoryRun.with_partitions(spark, PARTITIONS, tmp_path, no_gate, traffic_rules=rules)
    among = worlds(rng, 12, [anything, busy_viewer, one_id, busy_viewer])
    for count in (240, 60):
        grow(run, rng, among, count)
        cut_somewhere(run, rng)
        new_catalogue(run, rng, among)
        assert run_once(run.ports(allowed_lateness=timedelta(0)), TOPIC).state == "published"
    found = judged_again(run, spark)
    assert found["days_judged_again"] > 3
    assert found["events_judged_again"] > 30
    assert found["entries_about_somebody"] == len(POLICY.allowed)
    version, tables = run.versions.published[-1], run.warehouse.tables
    rows = tables.at(TRAFFIC_OUTCOMES, version.snapshots[TRAFFIC_OUTCOMES]).collect()
    outcomes = Counter((row.outcome, row.reason) for row in rows)
    assert {outcome for outcome, _ in outcomes} == {"invalid", "review"}, outcomes
    spark.sql(f"UPDATE {NAMESPACE}.{TRAFFIC_OUTCOMES} SET points = points + 1 WHERE offset = {rows[0].offset}")
    changed = replace(version, snapshots={**version.snapshots, TRAFFIC_OUTCOMES: tables.main(TRAFFIC_OUTCOMES) or 0})
    run.versions.published[-1] = changed
    with pytest.raises(verifier.WrongError, match=f"says {rows[0].outcome} {rows[0].reason} {rows[0].points + 1}"):
        judged_again(run, spark)
    run.versions.published[-1] = version
    gone_on = START.date() - timedelta(days=2)
    spark.sql(f"DELETE FROM {NAMESPACE}.{VIEWERS} WHERE event_day = DATE'{gone_on}'")
    assert judged_again(run, spark)["judged_days_left_out"] == 2, "the day and the next, whose rules look back"
