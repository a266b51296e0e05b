"""Read back what a part of a run changed on its branch: the manifest of the version it may become, and differences."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import dirname

from pyspark.sql import DataFrame, SparkSession

from batch_layer.archive.archive_files import GONE, ArchivedFile
from batch_layer.archive.removals import with_removed
from batch_layer.archive.spark_files import stored_files
from batch_layer.lake.content import Content, Place
from batch_layer.lake.iceberg_tables import path_of
from batch_layer.lake.spark_changes import TableChanges
from batch_layer.lake.spark_content_hash import BY_FILE, BY_PLACE, contents
from batch_layer.lake.tables import EVENTS, RAW_EVENTS, TABLES
from batch_layer.reconciling.reconciliation import place_differences
from batch_layer.run.ports import Branch

_PLACE = ("partition", "offset", "appended_at")
_ARCHIVED, _JUDGED, _REPLACED = f"{RAW_EVENTS} by offset", f"{EVENTS} by offset", f"replaced {EVENTS} by offset"


@dataclass(frozen=True)
class ReadBack:
    """The changes to a branch."""

    gained: Mapping[str, Content]
    """Table → the rows that the branch has more than before; a table that lost rows has a negative count. Others are as
    they were."""
    archived: Mapping[str, ArchivedFile]
    differences: tuple[str, ...]

    def added_to(self, branch: Branch) -> dict[str, Content]:
        """Return the content of every table of the branch."""
        nothing = (0, Content().text)
        before = {
            name: Content.parse(branch.row_counts.get(name, nothing[0]), branch.content_hashes.get(name, nothing[1]))
            for name in TABLES
        }
        return {name: each + self.gained.get(name, Content()) for name, each in before.items()}


def piece_contents(
    spark: SparkSession,
    changes: Mapping[str, TableChanges],
    raw: DataFrame,
    sent: Content,
    *,
    removed: Mapping[Place, Content],
) -> ReadBack:
    """Read back the rows that a part of a run wrote; `sent` is the content sent to the raw events' files.

    Compares by content that all of it is there, and that the events gained exactly the offsets of the raw events, and
    those that were `removed` from them.
    """
    events = changes[EVENTS]
    parts = {f"+{RAW_EVENTS}": raw.select("*", "_file")}
    for name, each in changes.items():
        parts[f"+{name}"] = each.added
        if each.removed.count:
            parts[f"-{name}"] = each.removed.rows
    places = {_ARCHIVED: raw, _JUDGED: events.added}
    if events.removed.count:
        places[_REPLACED] = events.removed.rows
    parts |= {name: rows.select(*_PLACE) for name, rows in places.items()}
    found: defaultdict[str, dict[str, Content]] = defaultdict(dict)
    by = {f"+{RAW_EVENTS}": BY_FILE, **dict.fromkeys(places, BY_PLACE)}
    row_count = sent.row_count + sum(each.removed.count for each in changes.values())
    for (name, part), content in contents(parts, by, row_count=row_count).items():
        found[name][str(part)] = content
    total = {name: sum(each.values(), Content()) for name, each in found.items()}
    nothing = Content()
    gained = {name: total.get(f"+{name}", nothing) - total.get(f"-{name}", nothing) for name in (RAW_EVENTS, *changes)}
    archived, gone = archived_files(spark, found[f"+{RAW_EVENTS}"])
    differences = [f"file {path} of {RAW_EVENTS} {GONE}" for path in gone]
    if gained[RAW_EVENTS] != sent:
        differences.append(f"{RAW_EVENTS} has gained {gained[RAW_EVENTS]}, and Kafka sent {sent}")
    archived_places = with_removed(_by_place(found[_ARCHIVED]), removed)
    differences += place_differences(RAW_EVENTS, archived_places, EVENTS, _judged(found))
    return ReadBack(gained, archived, tuple(differences))


def _judged(found: Mapping[str, Mapping[str, Content]]) -> dict[Place, Content]:
    """Return the events' gain, by place."""
    now, before = _by_place(found.get(_JUDGED, {})), _by_place(found.get(_REPLACED, {}))
    gain = {place: now.get(place, Content()) - before.get(place, Content()) for place in {*now, *before}}
    return {place: content for place, content in gain.items() if content != Content()}


def _by_place(found: Mapping[str, Content]) -> dict[Place, Content]:
    return {Place.parse(part): content for part, content in found.items()}


def archived_files(spark: SparkSession, by_file: Mapping[str, Content]) -> tuple[dict[str, ArchivedFile], list[str]]:
    """Return files with their content, given by `BY_FILE`, and the paths of those that disappeared meanwhile."""
    hours: defaultdict[str, dict[Place, Content]] = defaultdict(dict)
    for part, content in by_file.items():
        file, _, place = part.rpartition("|")
        hours[file][Place.parse(place)] = content
    if not hours:
        return {}, []
    statuses = stored_files(spark, sorted({dirname(file) for file in hours}))
    by_path = {path_of(file): each for file, each in hours.items()}
    found = {path: ArchivedFile(statuses[path], each) for path, each in by_path.items() if path in statuses}
    return found, sorted(by_path.keys() - statuses.keys())
