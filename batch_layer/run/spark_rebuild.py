"""Count everything again from the raw table, to prove that the incremental result equals one count."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.archive.removals import Removals
from batch_layer.judging.batch_keys import Reading
from batch_layer.judging.spark_accepted import accepted_rows, with_accepted
from batch_layer.judging.spark_aggregates import rejected_events, whole
from batch_layer.judging.spark_billability import with_quartile
from batch_layer.judging.spark_catalogue import CatalogueFacts
from batch_layer.judging.spark_decode import COLUMNS, PERSON, decode
from batch_layer.judging.spark_facts import unchanged_facts
from batch_layer.judging.spark_judging import Rules, Stored, judge
from batch_layer.judging.spark_traffic import TrafficOfDays, ends_of
from batch_layer.judging.spark_traffic_groups import given_rows, other_findings, other_sets
from batch_layer.judging.spark_unique_viewers import viewer_rows
from batch_layer.judging.traffic_rules import TrafficRules
from batch_layer.lake.aggregates import AGGREGATES, OF_EVENTS, UNIQUE_VIEWERS
from batch_layer.lake.content import Content
from batch_layer.lake.iceberg_tables import IcebergTables, branch_of
from batch_layer.lake.spark_content_hash import contents
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, with_position
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, REJECTED_EVENTS, TRAFFIC_OUTCOMES, VIDEO_FACTS, VIEWERS
from batch_layer.reconciling.spark_comparison import offset_differences
from batch_layer.run.ports import Decided
from batch_layer.run.spark_branch import BranchTables
from batch_layer.run.spark_sealed import SealedRows
from batch_layer.run.spark_traffic_part import TrafficJudges
from ingestion.contract.policy import CountingPolicy
from ingestion.contract.printable import counted
from ingestion.contract.version import PublishedVersion

_COMPARED_BY = {
    VIDEO_FACTS: "whole",
    TRAFFIC_OUTCOMES: "event_day",
    EVENTS: "event_day",
    VIEWERS: "event_day",
    REJECTED_EVENTS: "appended_on",
    **{each.table: "event_day" if each.is_by_day else "whole" for each in AGGREGATES},
}
"""In the order of the flow, so that the first difference is nearest to its cause."""


@dataclass(frozen=True)
class Difference:
    """A part of a table in which a recount differs."""

    table: str
    part: str
    """The day, or empty for a whole table."""
    published: Content
    recounted: Content

    def __str__(self) -> str:
        where = f"{self.table} of {self.part}" if self.part else self.table
        return (
            f"{where}: published {counted(self.published.row_count, 'row')} with hash {self.published.text}, "
            f"recounted {counted(self.recounted.row_count, 'row')} with hash {self.recounted.text}"
        )


@dataclass(frozen=True)
class Recount:
    """A recount of one published version on a branch of its own."""

    spark: SparkSession
    tables: IcebergTables
    version: PublishedVersion
    reading: Reading
    """The event contracts and keys that the version was judged by."""
    decided: Decided
    run_id: str
    policies: Mapping[int, CountingPolicy]
    """Every policy by its version number."""
    catalogue_version: int
    """The version was judged by it."""
    removals: Removals
    """What the version and those before it have removed from the raw events."""
    catalogue: CatalogueFacts
    traffic_rules: TrafficRules

    @property
    def branch(self) -> str:
        """Return the branch of the recount."""
        return branch_of(self.run_id)

    def write(self) -> None:
        """Compute every table again from the raw events of the version, with the rules that judged each day."""
        self.tables.open_branch(self.branch, self.version.snapshots)
        raw = self.tables.at(RAW_EVENTS, self.version.snapshots[RAW_EVENTS])
        decoded = decode(raw, self.reading).select(*COLUMNS, *PERSON).persist()
        if accepted := self.decided.accepted:
            decoded = with_accepted(decoded, accepted_rows(self.spark, decoded, accepted))
        self._replace(VIEWERS, decoded.where("viewer_hash IS NOT NULL"))
        self._replace(REJECTED_EVENTS, rejected_events(decoded, raw))
        seal = SealedRows.of(self._published(EVENTS), raw, self.version.day_rules, self.removals)
        policies = {day: self.policies[each.policy_version] for day, each in self.version.day_rules.items()}
        facts = self._written_facts()
        stored, traffic = self._written_seal(seal, facts)
        judged = judge(
            stored,
            Kept(decoded.where(~seal.is_sealed), self.version.row_counts[RAW_EVENTS]),
            Kept(with_position(stored.events).where(F.lit(False)), 0),
            Rules(policies, frozenset(policies), facts, unchanged_facts(facts).videos, traffic),
        )
        if judged.removed.count:  # an outcome that contradicts the rest of the log
            self.tables.delete_rows(EVENTS, self.branch, judged.removed.rows, judged.removed.count)
        self.tables.append(EVENTS, self.branch, judged.added)
        self._judge_traffic(policies, seal)
        events = self.tables.on_branch(EVENTS, self.branch)
        for aggregate in OF_EVENTS:
            self._replace(aggregate.table, whole(events, aggregate))
        self._replace(UNIQUE_VIEWERS.table, self._unique_viewers(events))

    def _unique_viewers(self, events: DataFrame) -> DataFrame:
        """Return how many viewers a video has on each day: as published where somebody is not known any more."""
        viewers = self.tables.on_branch(VIEWERS, self.branch)
        found = whole(viewer_rows(events, viewers), UNIQUE_VIEWERS)
        if not self.removals.is_any or UNIQUE_VIEWERS.table not in self.version.snapshots:
            return found
        unknown = events.where("verdict <> 'rejected'").join(viewers, PLACE, "left_anti")
        days = kept(unknown.select(*UNIQUE_VIEWERS.keys).distinct()).joinable()
        sealed = self._published(UNIQUE_VIEWERS.table).join(days, list(UNIQUE_VIEWERS.keys), "left_semi")
        return found.join(days, list(UNIQUE_VIEWERS.keys), "left_anti").unionByName(sealed.select(*found.columns))

    def _judge_traffic(self, policies: Mapping[date, CountingPolicy], seal: SealedRows) -> None:
        """Let the day rules judge the days that the version has judged, with what they saw then."""
        rules = self.version.day_rules
        now = {day: each for day, each in rules.items() if each.seen is not None and day not in seal.days}
        if not now:
            return
        before = {day: each if day in seal.days else replace(each, seen=None) for day, each in rules.items()}
        judges = TrafficJudges(self.traffic_rules, self.catalogue, policies)
        judges.judge_again(BranchTables(self.tables, self.run_id), before, now, self._given_rows())

    def _given_rows(self) -> DataFrame:
        """Return the outcomes that people decided or a period's rules found: inputs, which `differences` compares."""
        if not (self.decided.traffic or any(each.period for each in self.version.day_rules.values())):
            return self.tables.newest(TRAFFIC_OUTCOMES).where(F.lit(False))
        return given_rows(self._published(TRAFFIC_OUTCOMES))

    def _written_seal(self, seal: SealedRows, facts: DataFrame) -> tuple[Stored, TrafficOfDays]:
        """Write what is not counted again as it was published; return it as what was there before."""
        for name in (EVENTS, TRAFFIC_OUTCOMES):
            # with the columns of today: the snapshots of the version may have those of an earlier release
            rows = seal.rows(self._published(name)) if seal.is_any else self.tables.newest(name).where(F.lit(False))
            self._replace(name, with_quartile(rows, facts) if name == EVENTS else rows)
        events, outcomes, viewers = (
            self.tables.on_branch(name, self.branch) for name in (EVENTS, TRAFFIC_OUTCOMES, VIEWERS)
        )
        days = frozenset(row[0] for row in events.select("event_day").distinct().collect())
        judged = {day: each for day, each in self.version.day_rules.items() if day in seal.days}
        return Stored(events, viewers.where(seal.is_sealed), days), TrafficOfDays(outcomes, ends_of(judged))

    def _written_facts(self) -> DataFrame:
        known = self.tables.on_branch(VIDEO_FACTS, self.branch).select(
            "video_id", F.col("since_version").alias("known_since")
        )
        since = F.coalesce("known_since", F.lit(self.catalogue_version).cast("bigint")).alias("since_version")
        facts = self.catalogue.facts(self.catalogue_version)
        self._replace(VIDEO_FACTS, facts.join(known, "video_id", "left").withColumn("since_version", since))
        return self.tables.on_branch(VIDEO_FACTS, self.branch)

    def differences(self) -> Sequence[object]:
        """Compare the branch with the published snapshots part by part, and with the manifest as a whole.

        Events without raw values must be on record as removed, or nothing says that they were ever sent.
        """
        unrecorded = offset_differences(self._published, self.removals) if self.removals.is_any else []
        outcomes = self._published(TRAFFIC_OUTCOMES)
        ungiven = other_sets(outcomes, self.decided.traffic) or other_findings(outcomes, self.version.day_rules)
        return unrecorded or ungiven or self._differences()

    def _differences(self) -> list[Difference]:
        found = []
        published, recounted = self._contents(self._published), self._contents(self._recounted)
        for name, part in _COMPARED_BY.items():
            for key in sorted({*published[name], *recounted[name]}):
                sides = [content[name].get(key, Content()) for content in (published, recounted)]
                if sides[0] != sides[1]:
                    found.append(Difference(name, "" if part == "whole" else key, *sides))
            total = sum(recounted[name].values(), Content())
            manifest = Content.parse(self.version.row_counts[name], self.version.content_hashes[name])
            if not found and total != manifest:
                found.append(Difference(name, "", manifest, total))
        return found

    def _contents(self, read: Callable[[str], DataFrame]) -> dict[str, dict[str, Content]]:
        """Return the contents of all tables by their parts, in one Spark job."""
        found: dict[str, dict[str, Content]] = {name: {} for name in _COMPARED_BY}
        for (name, part), content in contents({name: _with_parts(read(name)) for name in found}, _COMPARED_BY).items():
            found[name][str(part)] = content
        return found

    def drop(self) -> None:
        """Remove the branch."""
        self.tables.drop_branch(self.branch)
        self.spark.catalog.clearCache()

    def _replace(self, name: str, rows: DataFrame) -> None:
        self.tables.overwrite(name, self.branch, rows, F.lit(True))

    def _published(self, name: str) -> DataFrame:
        return self.tables.at(name, self.version.snapshots[name])

    def _recounted(self, name: str) -> DataFrame:
        return self.tables.on_branch(name, self.branch)


def _with_parts(rows: DataFrame) -> DataFrame:
    if "appended_at" in rows.columns:
        rows = rows.withColumn("appended_on", F.to_date("appended_at"))
    return rows.withColumn("whole", F.lit(""))
