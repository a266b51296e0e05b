"""What the rules of periods found in traffic, for people and for machines."""

from collections.abc import Sequence
from typing import Any

from billing.books.postgres_traffic_findings import StoredFinding
from jobs.commands.billing.tables import aligned


def findings_text(findings: Sequence[StoredFinding]) -> str:
    """Return one line for each finding."""
    if not findings:
        return "the rules of periods found nothing yet"
    rows = [
        (str(each.period), finding.found.payee_id or "-", finding.found.reason, finding.found.outcome.value,
         str(finding.points_most), f"{finding.found.event_count:,}", _evidence_text(each), str(each.version))
        for each in findings
        for finding in (each.finding,)
    ]  # fmt: skip
    return aligned(("period", "payee", "found", "outcome", "points", "events", "of", "version"), rows, left=4)


def finding_document(each: StoredFinding) -> dict[str, Any]:
    """Return a finding as a JSON object."""
    finding = each.finding
    return {
        "period": str(each.period),
        "payee_id": finding.found.payee_id,
        "rule": finding.found.reason,
        "class": each.invalid_class,
        "outcome": finding.found.outcome.value,
        "points_most": finding.points_most,
        "event_count": finding.found.event_count,
        "set_hash": finding.found.set_hash,
        "first_on": finding.first_on.isoformat(),
        "last_on": finding.last_on.isoformat(),
        "evidence": dict(finding.evidence),
        "found_at": each.found_at.isoformat(),
        "version": each.version,
    }


def _evidence_text(each: StoredFinding) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in each.finding.evidence.items())
