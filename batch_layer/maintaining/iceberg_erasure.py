"""The removal of raw values and personal columns from the batch tables in Iceberg, compared before it is published."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.archive.archive_files import GONE
from batch_layer.archive.removals import RemovedRows
from batch_layer.lake.content import Content, Place
from batch_layer.lake.iceberg_tables import branch_of
from batch_layer.lake.spark_content_hash import BY_FILE, BY_PLACE, contents
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, on_days
from batch_layer.lake.tables import ERASABLE_TABLES, EVENTS, RAW_EVENTS, REJECTED_EVENTS, VIEWERS
from batch_layer.maintaining.compaction import PartFiles, oldest_day
from batch_layer.maintaining.iceberg_parts import IcebergParts, by_table, others_changed, within
from batch_layer.maintaining.ports import ChosenRows, RemovalOrder, Removed
from batch_layer.run.spark_contents import archived_files
from ingestion.contract.version import PublishedVersion

_OFFSETS = (*PLACE, "appended_at")
_BY_RECEIPT = (RAW_EVENTS, REJECTED_EVENTS)
"""Tables that are divided by the day of receipt."""


_QUOTE = r"""\\*["']"""
"""The quote of a text, or of one in a text."""
_USER_FIELD = rf"(?i:{_QUOTE}user[_-]?id{_QUOTE})\s*[:=]\s*"


@dataclass(frozen=True)
class _Places:
    """The places in the log of the rows to be removed."""

    before: datetime | None
    """All that was received before this instant."""
    rows: Kept | None = None
    """Partition, offset and appended_at of each row, if there is no such instant."""

    def split(self, name: str, rows: DataFrame, raw: DataFrame) -> tuple[DataFrame, DataFrame]:
        """Return the rows of a table that stay, and those to be removed; `raw` are the raw events of the base."""
        if self.before is not None and name in _BY_RECEIPT:
            is_removed = F.col("appended_at") < F.lit(self.before)
            return rows.where(~is_removed), rows.where(is_removed)
        places = self._joinable(raw)
        return rows.join(places, PLACE, "left_anti"), rows.join(places, PLACE, "left_semi")

    def received_on(self, days: Collection[date]) -> Collection[date]:
        """Return on which of these days (UTC) some of the rows were received."""
        if self.before is not None:
            return {day for day in days if day < self.before.date()}
        found = self.rows.rows.select(F.to_date("appended_at").alias("day")).distinct().collect() if self.rows else ()
        return {row.day for row in found} & set(days)

    def _joinable(self, raw: DataFrame) -> DataFrame:
        if self.rows is not None:
            return self.rows.joinable(*PLACE)
        return raw.where(F.col("appended_at") < F.lit(self.before)).select(*PLACE)


class IcebergErasure(IcebergParts):
    """See the port `Erasure`."""

    @translated
    def oldest_received(self, base: PublishedVersion) -> date | None:
        """See the port."""
        return oldest_day(self._parts(RAW_EVENTS, base.snapshots[RAW_EVENTS]), RAW_EVENTS)

    @translated
    def choose(self, base: PublishedVersion, order: RemovalOrder) -> ChosenRows:
        """See the port. Of a viewer the places are collected on executors; of a retention only days are looked up."""
        if order.before is not None:
            places = _Places(datetime.combine(order.before, time(), UTC))
        else:
            places = _Places(None, self._places_of(base, order.viewer or ""))
        files = self.files(base.snapshots)
        days = {name: self._days(name, base, places, files) for name in ERASABLE_TABLES}
        return ChosenRows([each for each in files if each.day in days.get(each.table, ())], places)

    @translated
    def remove(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> None:
        """See the port. One commit for each table; the files of a day without any row left are dropped."""
        self._tables.drop_branches("run_", (), ERASABLE_TABLES)
        self._tables.open_branch(branch_of(run_id), base.snapshots)
        for name, parts in by_table(chosen.parts).items():
            staying, _ = self._split(name, base, chosen.engine, parts)
            self._overwrite(name, run_id, staying, parts)

    @translated
    def read_back(self, run_id: str, base: PublishedVersion, chosen: ChosenRows) -> Removed:
        """See the port."""
        heads, written = self._tables.heads(branch_of(run_id)), by_table(chosen.parts)
        sides: dict[str, DataFrame] = {}
        by: dict[str, str] = {}
        for name, parts in written.items():
            where = within(name, parts)
            sides[f"-{name}"] = self._rows(name, base.snapshots[name], where)
            now = self._rows(name, heads[name], where)
            sides[f"+{name}"] = now.select("*", "_file") if name == RAW_EVENTS else now
            _, sides[f"removed {name}"] = self._split(name, base, chosen.engine, parts)
            if name in _BY_RECEIPT:
                sides[f"offsets {name}"] = sides[f"removed {name}"].select(*_OFFSETS)
                by |= dict.fromkeys((f"removed {name}", f"offsets {name}"), BY_PLACE)
        if RAW_EVENTS in written:
            by[f"+{RAW_EVENTS}"] = BY_FILE
        found: defaultdict[str, dict[str, Content]] = defaultdict(dict)
        for (side, part), content in contents(sides, by).items():
            found[side][str(part)] = content
        total = {side: sum(found[side].values(), Content()) for side in sides}
        archived, gone = archived_files(self._spark, found[f"+{RAW_EVENTS}"] if RAW_EVENTS in written else {})
        differences = [f"file {path} of {RAW_EVENTS} {GONE}" for path in gone]
        differences += [
            f"{name} had {total[f'-{name}']}, of which {total[f'removed {name}']} were to be removed, and has "
            f"{total[f'+{name}']}"
            for name in written
            if total[f"-{name}"] - total[f"removed {name}"] != total[f"+{name}"]
        ]
        differences += others_changed(self.files(base.snapshots), self.files(heads), chosen.parts)
        snapshots = (base.snapshots[RAW_EVENTS], heads[RAW_EVENTS])
        replaced = self._gone(RAW_EVENTS, *snapshots) if RAW_EVENTS in written else ()
        removed = {name: _by_place(found[f"removed {name}"], found[f"offsets {name}"]) for name in _BY_RECEIPT}
        contents_of = {name: total[f"removed {name}"] for name in written}
        return Removed(heads, archived, replaced, removed, contents_of, tuple(differences))

    def tag_removal(self, version: int, snapshots: Mapping[str, int]) -> None:
        """See the port."""
        self.tag(version, snapshots)

    @translated
    def finish_removal(self, version: PublishedVersion) -> None:
        """See the port."""
        self.finish(version)

    def _split(
        self, name: str, base: PublishedVersion, places: _Places, parts: list[PartFiles]
    ) -> tuple[DataFrame, DataFrame]:
        rows = self._rows(name, base.snapshots[name], within(name, parts))
        return places.split(name, rows, self._tables.at(RAW_EVENTS, base.snapshots[RAW_EVENTS]))

    def _places_of(self, base: PublishedVersion, viewer: str) -> Kept:
        """Return the places of a viewer's well-formed events, and of rejected ones that name the viewer."""
        viewers, events, rejected = (
            self._tables.at(name, base.snapshots[name]) for name in (VIEWERS, EVENTS, REJECTED_EVENTS)
        )
        own = kept(viewers.where(F.col("user_id") == viewer).select("event_day", *PLACE))
        days = {row.event_day for row in own.rows.select("event_day").distinct().collect()}
        places = on_days(events, days).select(*_OFFSETS).join(own.joinable(*PLACE), PLACE, "left_semi")
        return kept(places.unionByName(rejected.where(_names(viewer)).select(*_OFFSETS)))

    def _days(
        self, name: str, base: PublishedVersion, places: _Places, files: Collection[PartFiles]
    ) -> Collection[date]:
        """Return the days of a table that have rows to be removed."""
        there = {each.day for each in files if each.table == name and each.day is not None}
        if name in _BY_RECEIPT:
            return places.received_on(there)
        raw = self._tables.at(RAW_EVENTS, base.snapshots[RAW_EVENTS])
        _, removed = places.split(name, self._tables.at(name, base.snapshots[name]), raw)
        return {row.event_day for row in removed.select("event_day").distinct().collect()}


def _names(viewer: str) -> Column:
    """Return whether a message that breaks the contract names a viewer as its viewer, whether it can be parsed or not.

    The same word elsewhere names nobody: a viewer may be called `42`, like a number of seconds.
    """
    spellings = {viewer, *(json.dumps(viewer, ensure_ascii=each)[1:-1] for each in (True, False))}
    quoted = "|".join(_literally(each) for each in sorted(spellings))
    by_text = F.decode("value", "ISO-8859-1").rlike(f"{_USER_FIELD}{_QUOTE}(?:{quoted})(?:{_QUOTE}|\\z)")
    return by_text | (F.get_json_object(F.col("value").cast("string"), "$.user_id") == viewer)


def _literally(text: str) -> str:
    """Return a pattern of a text's bytes as ISO-8859-1 shows them."""
    return "\\Q" + text.encode().decode("iso-8859-1").replace("\\E", "\\E\\\\E\\Q") + "\\E"


def _by_place(rows: Mapping[str, Content], offsets: Mapping[str, Content]) -> Mapping[Place, RemovedRows]:
    return {Place.parse(part): RemovedRows(content, offsets[part]) for part, content in rows.items()}
