"""Write a bundle: everything needed to recompute a period's statements, in files that need no server.

One for a payee shows no threshold of the rules of traffic; one for an auditor has what these rules saw, too.
docs/concepts/proof.md defines every file. Everything streams; a bundle is written beside its folder and moved there
complete.
"""

import gzip
import hashlib
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from billing.errors import BundleRefusedError
from billing.proof.canonical import canonical_json
from billing.proof.checkpoint import Link
from billing.proof.journal import Record
from billing.proof.leaves import LEAF_COLUMNS, Cell, csv_line
from billing.terms.catalogue import Catalogue
from ingestion.contract.periods import Period
from ingestion.contract.settled import PublishedCount, SettledEvent

FORMAT = "viewledger-bundle/4"
PAYEE_COLUMNS = ("payee_id", "name", "user_id", "country")
VIDEO_COLUMNS = ("video_id", "length_seconds")
OWNER_COLUMNS = ("video_id", "from_on", "to_on", "payee_id", "share_ppm")
EVENT_COLUMNS = (
    "video_id", "event_id", "partition", "offset", "event_day", "country", "outcome", "view_duration", "ad_types",
    "policy_version", "sha256",
)  # fmt: skip
COUNT_COLUMNS = ("video_id", "event_day", "country", "views", "billable_views", "policy_version")
JUDGED_COLUMNS = (
    "judged_day", "partition", "offset", "event_id", "event_day", "begun", "video_id", "payee_id", "length_seconds",
    "viewer", "session", "view_duration", "country", "device_type", "network", "network_kind", "agent", "referrer",
    "allowed",
)  # fmt: skip
OUTCOME_COLUMNS = ("partition", "offset", "event_day", "payee_id", "outcome", "reason", "points")


class BundleReader(StrEnum):
    """For whom a bundle is."""

    PAYEE = "payee"
    """It has no threshold of the rules of traffic: of their policies it has the leaves only."""
    AUDITOR = "auditor"
    """It has all that is needed to find the reason of each event again."""


class SettledEvents(Protocol):
    """The events of ONE published version, read at its own snapshots."""

    def events(self, period: Period) -> Iterable[SettledEvent]:
        """Yield all events of videos in the period, ascending by (video_id, event_id, partition, offset). Streams."""

    def counts(self, period: Period) -> Iterable[PublishedCount]:
        """Yield the published counts, ascending by (video_id, event_day, country, policy_version). Streams."""


class TrafficEvidence(Protocol):
    """What the rules of traffic saw and said of the judged days of a period, of ONE published version."""

    @property
    def days_left_out(self) -> Collection[date]:
        """Return the judged days that cannot be judged again, for viewers of them were forgotten or removed."""

    def views(self) -> Iterable[Sequence[Cell]]:
        """Yield rows of `JUDGED_COLUMNS`, ascending by (judged_day, begun, event_id, partition, offset). Streams."""

    def outcomes(self) -> Iterable[Sequence[Cell]]:
        """Yield rows of `OUTCOME_COLUMNS`, ascending by (event_day, partition, offset). Streams."""


@dataclass(frozen=True)
class BundleVersions:
    """The versions of the period's newest run."""

    batch_version: int
    catalogue_version: int
    contract_version: int


@dataclass(frozen=True)
class BundledBooks:
    """Reads from the database what a bundle holds."""

    records: Iterable[Record]
    """The whole journal in order."""
    is_wanted: Callable[[Record], bool]
    """Whether a record belongs to the period, or one of its records rests on it."""
    unnoted: Sequence[str]
    """Rows that are not in the journal, as `kind key`."""
    chain: Sequence[Link]
    catalogue: Catalogue


def write_bundle(
    folder: Path,
    *,
    period: Period,
    versions: BundleVersions,
    books: BundledBooks,
    settled: SettledEvents,
    traffic: TrafficEvidence | None,
    made_at: datetime,
) -> dict[str, int]:
    """Write a bundle into a new folder; return the number of rows in each file. With `traffic` it is for an auditor.

    Raises:
        BundleRefusedError: the folder already exists and is not empty, or cannot be written.
    """
    part = folder.with_name(f".{folder.name}.part")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BundleRefusedError(f"{folder} is there already; give a new folder")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        counts = _write_books(part, books) | _write_catalogue(part, books.catalogue)
        counts |= _write_events(part, settled, period)
        about_reader: dict[str, object] = {"for": BundleReader.PAYEE if traffic is None else BundleReader.AUDITOR}
        if traffic is not None:
            counts |= _write_traffic(part, traffic)
            about_reader["days_left_out"] = [day.isoformat() for day in sorted(traffic.days_left_out)]
        manifest = {
            "format": FORMAT,
            **about_reader,
            "period": str(period),
            "period_start_on": period.start_on.isoformat(),
            "period_end_on": period.end_on.isoformat(),
            "batch_version": versions.batch_version,
            "catalogue_version": versions.catalogue_version,
            "contract_version": versions.contract_version,
            "made_at": made_at.isoformat(),
            "rows": counts,
            "files": {name: _sha256(part / name) for name in sorted(counts)},
        }
        (part / "manifest.json").write_bytes(canonical_json(manifest) + b"\n")
        part.replace(folder)
    except OSError as error:
        raise BundleRefusedError(f"{error.filename or folder} cannot be written ({error.strerror})") from error
    return counts


def _write_books(folder: Path, books: BundledBooks) -> dict[str, int]:
    leaves = records = 0
    with (folder / "leaves.csv").open("wb") as leaf_file, (folder / "records.jsonl").open("wb") as record_file:
        leaf_file.write(csv_line(LEAF_COLUMNS))
        for record in books.records:
            leaf_file.write(csv_line((record.position, record.kind, record.key, record.leaf_hash)))
            leaves += 1
            if books.is_wanted(record):
                record_file.write(record.content + b"\n")
                records += 1
        for name in books.unnoted:
            kind, _, key = name.partition(" ")
            record_file.write(canonical_json({"position": None, "kind": kind, "key": key, "row": None}) + b"\n")
            records += 1
    lines = [link.to_file() for link in books.chain]
    (folder / "checkpoints.jsonl").write_bytes(b"".join(lines))
    return {"leaves.csv": leaves, "records.jsonl": records, "checkpoints.jsonl": len(lines)}


def _write_catalogue(folder: Path, catalogue: Catalogue) -> dict[str, int]:
    payees = ((each.payee_id, each.name, each.user_id, each.country) for each in catalogue.payees)
    videos = ((each.video_id, each.length_seconds) for each in catalogue.videos)
    return {
        "payees.csv": _write_csv(folder / "payees.csv", PAYEE_COLUMNS, payees),
        "videos.csv": _write_csv(folder / "videos.csv", VIDEO_COLUMNS, videos),
        "owners.csv": _write_csv(folder / "owners.csv", OWNER_COLUMNS, catalogue.owners),
    }


def _write_events(folder: Path, settled: SettledEvents, period: Period) -> dict[str, int]:
    events = (
        (
            each.video_id,
            each.event_id,
            each.partition,
            each.offset,
            each.event_day,
            each.country,
            each.outcome,
            each.view_duration,
            canonical_json(list(each.ad_types)).decode() if each.ad_types else None,
            each.policy_version,
            each.message_sha256,
        )
        for each in settled.events(period)
    )
    counts = (
        (each.video_id, each.event_day, each.country, each.views, each.billable_views, each.policy_version)
        for each in settled.counts(period)
    )
    return {
        "events.csv.gz": _write_csv(folder / "events.csv.gz", EVENT_COLUMNS, events),
        "counts.csv.gz": _write_csv(folder / "counts.csv.gz", COUNT_COLUMNS, counts),
    }


def _write_traffic(folder: Path, traffic: TrafficEvidence) -> dict[str, int]:
    files = (
        ("judged_views.csv.gz", JUDGED_COLUMNS, traffic.views),
        ("traffic_outcomes.csv.gz", OUTCOME_COLUMNS, traffic.outcomes),
    )
    return {name: _write_csv(folder / name, columns, rows()) for name, columns, rows in files}


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> int:
    count = 0
    with file.open("wb") as raw:
        opened = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if file.suffix == ".gz" else raw
        opened.write(csv_line(columns))
        for row in rows:
            opened.write(csv_line(row))
            count += 1
        if opened is not raw:
            opened.close()
    return count


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
