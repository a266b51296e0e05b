"""What a rewritten branch holds and how it differs from its base, in the form that the steps of a run hand on."""

from collections import Counter
from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.archive.ports import Archived
from batch_layer.archive.removals import Removals
from batch_layer.judging.spark_aggregates import CellChanges
from batch_layer.judging.spark_unique_viewers import viewer_rows
from batch_layer.lake.aggregates import BY_VIDEO
from batch_layer.lake.content import Content
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import POSITION
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, TABLES, UNIQUE_VIEWERS, VIEWERS, VIEWS_BY_VIDEO
from batch_layer.run.ports import ArchivedPiece, Branch, DerivedPiece, JudgedPiece
from batch_layer.run.spark_branch import BranchTables, JudgedRows, WrittenParts
from ingestion.contract.attesting_keys import AttestingKeys
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.version import PublishedVersion

_SECONDS = "watched_seconds"


def rewritten(
    on: BranchTables, base: PublishedVersion, *, catalogue_version: int, keys: AttestingKeys, removals: Removals
) -> DerivedPiece:
    """Return a branch on which every table was written again, as one part: all of it is new to the gate.

    `removals`: what was archived before, and is no longer among the raw events.
    """
    now = {name: on.read(name) for name in TABLES}
    nothing = {name: Kept(rows.select("*", *POSITION).where(F.lit(False)), 0) for name, rows in now.items()}
    rules = {day: replace(each, catalogue_version=catalogue_version) for day, each in base.day_rules.items()}
    former = _events_as_published(on, base)
    events = TableChanges(Kept(former, base.row_counts[EVENTS]), now[EVENTS])
    written = WrittenParts([events], [_totals(on, base)], [_viewers(on, base)])
    branch = Branch(on.run_id, base, rules, {}, {}, keys, written)
    zero = OffsetVector.zero(base.offsets.topic, len(base.offsets.ends))
    rows = {row.partition: row["count"] for row in now[RAW_EVENTS].groupBy("partition").count().collect()}
    removed = Counter(removals.by_partition(RAW_EVENTS))
    piece = ArchivedPiece(branch, zero, base.offsets, Archived(Counter(rows) + removed, {}))
    changes = {name: TableChanges(nothing[name], each) for name, each in now.items() if name != RAW_EVENTS}
    raw = Content.parse(base.row_counts[RAW_EVENTS], base.content_hashes[RAW_EVENTS])
    engine = JudgedRows(now[RAW_EVENTS], raw, now[EVENTS], 0, nothing[EVENTS], changes, removals)
    judged = JudgedPiece(piece, frozenset(rules), rules, 0, 0, 0, engine=engine)
    return DerivedPiece(judged, engine)


def _viewers(on: BranchTables, base: PublishedVersion) -> TableChanges:
    """Return the rows of viewers that differ from the base; all of them if its release counted no viewers."""
    viewers = on.read(VIEWERS)
    now = viewer_rows(on.read(EVENTS), viewers)
    if UNIQUE_VIEWERS not in base.snapshots:
        return TableChanges(Kept(now.where(F.lit(False)), 0), now)
    before = viewer_rows(on.tables.at(EVENTS, base.snapshots[EVENTS]), viewers)
    return TableChanges(kept(before.exceptAll(now)), now.exceptAll(before))


def _events_as_published(on: BranchTables, base: PublishedVersion) -> DataFrame:
    """Return the base's events, without a duration if its release published no watched seconds."""
    events = on.tables.at(EVENTS, base.snapshots[EVENTS])
    if _SECONDS in on.tables.at(VIEWS_BY_VIDEO, base.snapshots[VIEWS_BY_VIDEO]).columns:
        return events
    return events.withColumn("view_duration", F.lit(None).cast("int"))


def _totals(on: BranchTables, base: PublishedVersion) -> CellChanges:
    """Return the totals that differ from the base; all of them if its release summed no watched seconds."""
    before, now = on.tables.at(VIEWS_BY_VIDEO, base.snapshots[VIEWS_BY_VIDEO]), on.read(VIEWS_BY_VIDEO)
    known = [name if name in before.columns else F.lit(None).alias(name) for name in BY_VIDEO.columns]
    added = kept(now.select(*BY_VIDEO.columns).exceptAll(before.select(*known)))
    zeros = [F.lit(0).cast("bigint").alias(name) for name in BY_VIDEO.measures]
    gone: DataFrame = before.join(now, "video_id", "left_anti").select("video_id", *zeros)
    return CellChanges(BY_VIDEO, Kept(before, 0), added, gone)
