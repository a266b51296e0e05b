"""An Iceberg table's metadata for analysts: published snapshots and nothing else.

The files of a table do not move: a file is hidden if no metadata names it. Unpublished snapshots, a refused run's
branch, and the log of former metadata files are all left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

HIDDEN = ("metadata-log", "statistics", "partition-statistics", "encryption-keys")
"""Parts that name files or snapshots beyond the published ones; all are optional."""


class MissingSnapshotError(Exception):
    """A published version's snapshot is no longer in the table."""


@dataclass(frozen=True)
class PublishedSnapshot:
    """The facts of one table in one published version."""

    version: int
    published_at: datetime
    snapshot_id: int | None
    """None: the version is older than the table."""
    is_kept: bool = True
    """Whether the version has not expired; the snapshot of one that has may still be there for a while."""


def published_metadata(metadata: Mapping[str, Any], published: Sequence[PublishedSnapshot]) -> dict[str, Any]:
    """Return the metadata of a table whose whole history is the given published versions, oldest first.

    `main` is the last of them. Each is a tag `v<version>`, and the table's history has the instant of its publication,
    so that `VERSION AS OF 'v3'` and `TIMESTAMP AS OF '2026-11-25'` find what was published then. Expired versions have
    no tag, but stay in the history: without them an instant would find an older version than the one in force then.

    Raises:
        MissingSnapshotError: the last version's snapshot is gone, or it never had one.
    """
    stored = {snapshot["snapshot-id"]: snapshot for snapshot in metadata.get("snapshots", ())}
    newest = published[-1]
    if newest.snapshot_id is None:
        raise MissingSnapshotError(f"version {newest.version} is of a release without it")
    if newest.snapshot_id not in stored:
        raise MissingSnapshotError(f"version {newest.version} is no longer kept: its snapshot is gone")
    history = [each for each in published if each.snapshot_id is not None]
    kept = [each for each in history if each.is_kept and each.snapshot_id in stored]
    refs: dict[str, dict[str, Any]] = {f"v{each.version}": _ref("tag", each) for each in kept}
    shown = {name: part for name, part in metadata.items() if name not in HIDDEN}
    # the columns may have changed since: an upgrade changes them before it publishes
    snapshot = stored[newest.snapshot_id]
    schema = {"current-schema-id": snapshot["schema-id"]} if "schema-id" in snapshot else {}
    return (
        shown
        | schema
        | {
            "current-snapshot-id": newest.snapshot_id,
            "snapshots": [stored[snapshot_id] for snapshot_id in dict.fromkeys(each.snapshot_id for each in kept)],
            "refs": refs | {"main": _ref("branch", newest)},
            "snapshot-log": [
                {"timestamp-ms": _milliseconds(each.published_at), "snapshot-id": each.snapshot_id} for each in history
            ],
            "metadata-log": [],
            "last-updated-ms": _milliseconds(newest.published_at),
        }
    )


def _ref(kind: str, published: PublishedSnapshot) -> dict[str, Any]:
    return {"snapshot-id": published.snapshot_id, "type": kind}


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
