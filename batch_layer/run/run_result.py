"""The result of a batch run or a rebuild, and the id of a run."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class RunResult:
    """The result of a run that ended without an error."""

    run_id: str
    state: str
    """`published` or `nothing_new`."""
    version: int | None
    archived_count: int = 0
    gap_count: int = 0
    """Offsets without a record among those that were archived."""
    uncut_count: int = 0
    """Partitions that the speed layer did not cut."""
    accepted_count: int = 0
    """Late events that the version is the first to judge as accepted."""
    unknown_country_count: int = 0
    """Archived events whose country is not a known country."""
    judged_days: tuple[str, ...] = ()
    row_counts: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """Verdict → events, over the whole version; they add up to its raw rows."""
    changed_video_count: int = 0
    settled_until: datetime | None = None
    report: str | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """The differences found when the published days were reconciled; any stops publishing and billing."""


def new_run_id(now: datetime) -> str:
    """Return a unique id that sorts by time."""
    return f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
