"""Make what a run has judged the published version."""

from batch_layer.errors import BatchError
from batch_layer.run.group_decisions import note_groups
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.run_result import JudgedSoFar, RunResult
from batch_layer.stages import Stages
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import PublishedVersion

SEGMENTS_KEPT_VERSIONS = 2
"""The speed layer's segments stay for two more versions, for readers that still hold an older version."""


def publish(ports: RunPorts, stages: Stages, judged: JudgedSoFar) -> RunResult:
    """Make what was judged a version; return the result of the run."""
    warehouse, branch = ports.warehouse, judged.branch
    notes = judged.cut.notes
    with stages.stage("publish") as report:
        version = PublishedVersion(
            version=judged.former.version + 1 if judged.former else 1,
            run_id=judged.run_id,
            offsets=judged.cut.end,
            watermarks=judged.cut.watermarks,
            snapshots=warehouse.snapshots(branch),
            row_counts=branch.row_counts,
            content_hashes=branch.content_hashes,
            day_rules=branch.rules,
            published_at=ports.clock(),
            accepted_late=judged.accepted,
            traffic_decisions=judged.decisions,
            event_contracts=judged.contracts,
            attesting_keys=branch.attesting_keys,
        )
        tally = warehouse.tally(branch)
        verdicts: dict[str, int] = {}
        for row in tally:
            verdicts[row.verdict] = verdicts.get(row.verdict, 0) + row.events
        # 7. The tag keeps the snapshots; the pointer makes them the version, in one transaction with the counts.
        staged = warehouse.stage_counts(branch)
        warehouse.tag(version.version, version.snapshots)
        detail = {
            "archived": judged.archived_count,
            "gaps": {str(partition): gap for partition, gap in judged.gaps.items()},
            "accepted": len(judged.accepted),
            "decided_groups": len(judged.decisions),
            "findings": len(judged.findings),
            "unknown_countries": judged.unknown_country_count,
            "catalogue_changed": judged.catalogue_changed_count,
            "judged_days": judged.touched_days,
            "reasons_to_review": judged.reasons_to_review,
            "report": judged.report,
            "stage_seconds": stages.in_order(),
            "verdicts": verdicts,
            "notes": list(notes),
        }
        ports.versions.publish(version, staged, detail, judged.files, findings=judged.findings, tally=tally)
        ports.observer.published(version)
        report.append(f"version {version.version}, {counted(staged.video_count, 'video')} changed")
        # 8. From here on the version is published. The next run repairs what fails now.
        notes += _after_publishing(ports, version)
    return RunResult(
        run_id=version.run_id,
        state="published",
        version=version.version,
        archived_count=judged.archived_count,
        gap_count=judged.gaps.total(),
        uncut_count=judged.cut.uncut_count,
        accepted_count=len(judged.accepted),
        unknown_country_count=judged.unknown_country_count,
        judged_days=judged.touched_days,
        reasons_to_review=tuple(judged.reasons_to_review),
        row_counts=version.row_counts,
        verdicts=verdicts,
        changed_video_count=staged.video_count,
        settled_until=version.settled_until,
        report=judged.report,
        stage_seconds=stages.seconds,
        notes=notes,
    )


def _after_publishing(ports: RunPorts, version: PublishedVersion) -> tuple[str, ...]:
    notes = []
    try:
        ports.warehouse.finish(version)
    except UnavailableError as error:
        notes.append(f"main was not moved ({error}); the next run does it")
    try:
        note_groups(ports, version)
    except (BatchError, UnavailableError) as error:
        notes.append(f"the groups under review were not noted ({error}); the next run does it")
    kept = ports.versions.version(version.version - SEGMENTS_KEPT_VERSIONS)
    if kept is not None:
        try:
            ports.speed.prune(kept.offsets.ends)
        except UnavailableError as error:
            notes.append(f"old segments were not dropped ({error}); the next run does it")
    return tuple(notes)
