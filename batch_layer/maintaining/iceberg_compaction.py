"""Compaction of the batch tables in Iceberg: the same rows in few files, on a branch, compared with the base."""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from batch_layer.archive.archive_files import GONE
from batch_layer.lake.iceberg_tables import branch_of
from batch_layer.lake.spark_content_hash import BY_FILE, contents
from batch_layer.lake.spark_errors import translated
from batch_layer.lake.tables import RAW_EVENTS
from batch_layer.maintaining.compaction import PartFiles
from batch_layer.maintaining.iceberg_parts import IcebergParts, by_table, others_changed, within
from batch_layer.maintaining.ports import Compacted
from batch_layer.run.spark_contents import archived_files
from ingestion.contract.version import PublishedVersion


class IcebergCompaction(IcebergParts):
    """See the port `Compaction`."""

    @translated
    def rewrite(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> None:
        """See the port. Executors sort the rows; one commit for each table."""
        self._tables.open_branch(branch_of(run_id), base.snapshots)
        for name, of_table in by_table(parts).items():
            self._overwrite(name, run_id, self._rows(name, base.snapshots[name], within(name, of_table)), of_table)

    @translated
    def compare(self, run_id: str, base: PublishedVersion, parts: Sequence[PartFiles]) -> Compacted:
        """See the port."""
        heads, differences = self._tables.heads(branch_of(run_id)), list[str]()
        sides: dict[str, DataFrame] = {}
        compacted = by_table(parts)
        for name, of_table in compacted.items():
            where = within(name, of_table)
            sides[f"-{name}"] = self._rows(name, base.snapshots[name], where)
            sides[f"+{name}"] = self._rows(name, heads[name], where)
        by_file: dict[str, DataFrame] = {}
        if RAW_EVENTS in compacted:
            by_file[RAW_EVENTS] = sides[f"+{RAW_EVENTS}"].select("*", "_file")
        found = contents(sides | by_file, dict.fromkeys(by_file, BY_FILE))
        for name in compacted:
            before, now = found[f"-{name}", None], found[f"+{name}", None]
            if before != now:
                differences.append(f"{name} had {before}, and has {now} after compaction")
        after = self.files(heads)
        differences += others_changed(self.files(base.snapshots), after, parts)
        by_name = {str(part): content for (name, part), content in found.items() if name == RAW_EVENTS}
        archived, gone = archived_files(self._spark, by_name)
        differences += [f"file {path} of {RAW_EVENTS} {GONE}" for path in gone]
        replaced = self._gone(RAW_EVENTS, base.snapshots[RAW_EVENTS], heads[RAW_EVENTS]) if by_file else ()
        return Compacted(heads, archived, replaced, after, tuple(differences))
