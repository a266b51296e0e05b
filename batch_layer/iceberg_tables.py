"""The batch tables: their columns, and the branches, tags and snapshots through which a run writes them.

Nothing here moves `main` except `move_main`, which publication calls after the pointer has moved.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession

NAMESPACE = "ledger.views"

RAW_EVENTS = "raw_events"
EVENTS = "events"
VIEWS_BY_VIDEO = "views_by_video"
VIEWS_BY_VIDEO_DAY = "views_by_video_day"
VIEWS_BY_DETAIL = "views_by_video_day_country_device"
REJECTED_EVENTS = "rejected_events"
TALLY = "tally"

_PLACE = """
    partition int COMMENT 'Kafka partition',
    offset bigint COMMENT 'Kafka offset within the partition',
    appended_at timestamp COMMENT 'The broker''s append time: when the event was received'"""
_COUNTS = """
    views bigint COMMENT 'Counted events',
    billable_views bigint COMMENT 'Counted events that are billable under the policy'"""
_NO_SHUFFLE = {"write.distribution-mode": "none", "write.spark.fanout.enabled": "true"}

# name -> (columns, partitioning, comment, properties)
TABLES: dict[str, tuple[str, str, str, dict[str, str]]] = {
    RAW_EVENTS: (
        f"""topic string COMMENT 'Kafka topic', {_PLACE},
    key binary COMMENT 'The message key, untouched',
    value binary COMMENT 'The message value, untouched',
    run_id string COMMENT 'The batch run that archived it'""",
        "days(appended_at)",
        "The log: every message exactly as it was on Kafka",
        _NO_SHUFFLE,
    ),
    EVENTS: (
        f"""{_PLACE},
    event_id string COMMENT 'UUID in canonical form; null where a rejected event has none that can be read',
    video_id string COMMENT 'Of a rejected event: the message key, where it is a video id',
    user_id string COMMENT 'Pseudonym of the viewer', session_id string,
    happened_at timestamp COMMENT 'The event''s own timestamp',
    event_day date COMMENT 'UTC day of happened_at; of appended_at for rejected and late events',
    event_hour timestamp COMMENT 'UTC hour of the same instant as event_day',
    view_duration int COMMENT 'Seconds', revenue_eligible boolean,
    country string COMMENT 'ISO country code, ZZ when absent or no code',
    device_type string COMMENT 'unknown when absent',
    ad_types array<string> COMMENT 'Type of each advertisement shown, unknown where it was not said',
    payload_digest string COMMENT 'Equal for two events exactly when the player sent the same values',
    verdict string COMMENT 'counted, duplicate, conflict, rejected or late_review',
    reasons array<struct<code: string, detail: string>> COMMENT 'Why it was rejected',
    billability string COMMENT 'Set exactly for counted events: billable, or the first rule it fails',
    policy_version int COMMENT 'The counting policy it was last judged with',
    catalogue_version bigint COMMENT 'The catalogue it was last judged with; 0 = the empty one'""",
        "event_day",
        "Every archived event with its one verdict",
        {},
    ),
    VIEWS_BY_VIDEO: (
        f"video_id string, {_COUNTS}",
        "bucket(8, video_id)",
        "All settled views of a video",
        {},
    ),
    VIEWS_BY_VIDEO_DAY: (
        f"video_id string, event_day date, {_COUNTS}, policy_version int",
        "event_day",
        "Settled views of a video by event day (UTC)",
        {},
    ),
    VIEWS_BY_DETAIL: (
        f"""video_id string, event_day date, country string COMMENT 'ISO country code, or ZZ',
    device_type string COMMENT 'As sent, or unknown', {_COUNTS}, policy_version int""",
        "event_day",
        "Settled views of a video by event day (UTC), country and device",
        {},
    ),
    REJECTED_EVENTS: (
        f"""topic string, {_PLACE}, event_id string,
    reasons array<struct<code: string, detail: string>>, value binary COMMENT 'The message, untouched'""",
        "days(appended_at)",
        "Events that break the contract, with every reason",
        _NO_SHUFFLE,
    ),
    TALLY: (
        """partition int COMMENT 'Kafka partition', event_day date, event_hour timestamp, verdict string,
    reason string COMMENT 'Code of the first reason of rejected events, otherwise empty', event_count bigint""",
        "event_day",
        "How many events got which verdict; sums to the events received",
        {},
    ),
}


class IcebergTables:
    """The batch tables in one catalog."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def create_missing(self) -> None:
        """Create what does not exist yet; changes nothing otherwise."""
        self._spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {NAMESPACE}")
        there = {row.tableName for row in self._spark.sql(f"SHOW TABLES IN {NAMESPACE}").collect()}
        for name, (columns, partitioning, comment, properties) in TABLES.items():
            if name not in there:
                options = {"format-version": "2", "write.parquet.compression-codec": "snappy", **properties}
                listed = ", ".join(f"'{key}'='{value}'" for key, value in options.items())
                self._spark.sql(
                    f"CREATE TABLE {NAMESPACE}.{name} ({columns}) USING iceberg PARTITIONED BY ({partitioning}) "
                    f"COMMENT '{comment}' TBLPROPERTIES ({listed})"
                )

    def open_branch(self, branch: str, base: Mapping[str, int]) -> dict[str, int]:
        """Make `branch` start from the base snapshots in every table; an absent base is the empty table.

        Returns the snapshot that each branch starts from.
        """
        starts = {}
        for name in TABLES:
            table = self._table(name)
            self._drop_branch(table, branch)
            changes = table.manageSnapshots()
            # without a snapshot Iceberg makes an empty one; main of an unpublished table is never moved, so it has none
            (changes.createBranch(branch, base[name]) if name in base else changes.createBranch(branch)).commit()
            starts[name] = self._head(name, branch)
        return starts

    def heads(self, branch: str) -> dict[str, int]:
        """Return the newest snapshot of a branch in every table."""
        return {name: self._head(name, branch) for name in TABLES}

    def tag(self, label: str, snapshots: Mapping[str, int]) -> None:
        """Name the snapshots; a tag left by a crashed run is moved."""
        for name, snapshot in snapshots.items():
            table = self._table(name)
            changes = table.manageSnapshots()
            there = table.refs().containsKey(label)
            (changes.replaceTag(label, snapshot) if there else changes.createTag(label, snapshot)).commit()

    def move_main(self, snapshots: Mapping[str, int]) -> list[str]:
        """Make `main` show exactly these snapshots; return the tables where it did not."""
        moved = []
        for name, snapshot in snapshots.items():
            table = self._table(name)
            current = table.snapshot("main")
            if current is None or current.snapshotId() != snapshot:
                changes = table.manageSnapshots()
                (
                    changes.createBranch("main", snapshot)
                    if current is None
                    else changes.replaceBranch("main", snapshot)
                ).commit()
                moved.append(name)
        return moved

    def drop_branch(self, branch: str) -> None:
        """Remove a branch from every table; its files stay until snapshots are expired."""
        for name in TABLES:
            self._drop_branch(self._table(name), branch)

    def drop_branches(self, prefix: str, keep: Collection[str]) -> None:
        """Remove every branch whose name begins with `prefix` and is not to be kept, from every table."""
        for name in TABLES:
            table = self._table(name)
            for branch in [str(ref) for ref in table.refs().keySet() if str(ref).startswith(prefix)]:
                if branch not in keep:
                    self._drop_branch(table, branch)

    def at(self, name: str, snapshot: int) -> DataFrame:
        """Read a table as of a snapshot."""
        return self._spark.read.option("versionAsOf", snapshot).table(f"{NAMESPACE}.{name}")

    def between(self, name: str, start: int, end: int) -> DataFrame:
        """Read the rows appended after snapshot `start` up to snapshot `end`."""
        reader = self._spark.read.format("iceberg").option("start-snapshot-id", start).option("end-snapshot-id", end)
        return reader.load(f"{NAMESPACE}.{name}")

    def on_branch(self, name: str, branch: str) -> DataFrame:
        """Read a table's branch."""
        return self.at(name, self._head(name, branch))

    def exists(self) -> bool:
        """Whether the tables were made already."""
        return bool(self._spark.catalog.tableExists(f"{NAMESPACE}.{TALLY}"))

    def _table(self, name: str) -> Any:
        java: Any = self._spark._jvm
        loader = java.org.apache.iceberg.spark.Spark3Util
        return loader.loadIcebergTable(self._spark._jsparkSession, f"{NAMESPACE}.{name}")

    def _head(self, name: str, branch: str) -> int:
        return int(self._table(name).snapshot(branch).snapshotId())

    @staticmethod
    def _drop_branch(table: Any, branch: str) -> None:
        if table.refs().containsKey(branch):
            table.manageSnapshots().removeBranch(branch).commit()


def branch_target(name: str, branch: str) -> str:
    """Return the name under which Spark writes to a table's branch."""
    return f"{NAMESPACE}.{name}.branch_{branch}"
