"""The output of the billing commands, as text tables and as JSON values. Pure."""

from collections.abc import Sequence
from typing import Any

from billing.books.book_ports import LedgerTotals
from billing.money import amount_text
from billing.period_billing import BilledPeriod
from billing.rating.rated_lines import EVENTS
from ingestion.contract.printable import counted


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return a text table: the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[index]) for row in [header, *rows]) for index in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def billed_period_text(billed: BilledPeriod) -> str:
    """Return the outcome of `billing run`: the largest payees, sums, versions, waiting statements, remarks."""
    run, summary = billed.run, billed.summary
    names = billed.name_by_payee
    rows = [
        (payee_id, _short(names.get(payee_id, "")), f"{lines:,}", f"{views:,}", amount_text(micros, run.currency))
        for micros, payee_id, lines, views in sorted(summary.largest, key=lambda row: (-row[0], row[1]))
    ]
    if rest := summary.payee_count - len(rows):
        rows.append((f"… {rest} more", "", "", "", ""))
    sums = (f"{summary.line_count:,}", f"{summary.billable_views:,}", amount_text(summary.earned_micros, run.currency))
    rows.append((f"sum of {counted(summary.payee_count, 'payee')}", "", *sums))
    lines = [
        _headline(billed),
        "",
        aligned(("payee", "name", "lines", "billable views", "earned"), rows, left=2),
        "",
        f"carried on, below one micro-unit: {summary.carried_nanomicros:,} nano-micros",
        f"batch version {run.batch_version}, catalogue version {run.catalogue_version}, "
        f"rates version {run.contract_version}, run {run.run_id}",
    ]
    lines += [f"{payee_id} is {state}: {reason}" for payee_id, state, reason in summary.waiting]
    return "\n".join([*lines, *_remarks(billed)])


def _remarks(billed: BilledPeriod) -> list[str]:
    """Return the remarks for the operator; warnings and obstacles to posting come first."""
    blocked = [f"cannot be posted now: {failure}" for failure in billed.failures if billed.dry_run]
    return [*blocked, *billed.summary.warnings, *billed.remarks.sentences()]


def restated_period_text(billed: BilledPeriod) -> str:
    """Return the outcome of `billing restate`: each payee's old and new amounts, and what needs approval."""
    run, summary = billed.run, billed.summary
    causes = sorted(summary.delta_by_cause) or [EVENTS]
    rows: list[tuple[str, ...]] = []
    for payee_id, before, now in sorted(summary.deltas, key=lambda row: (-abs(row[2] - row[1]), row[0])):
        changes = [summary.causes[payee_id].get(each, 0) for each in causes]
        rows.append((payee_id, *map(_plain, (before, now, *changes, now - before))))
    by_cause = (_plain(summary.delta_by_cause[each]) for each in causes)
    rows.append((f"sum of {counted(summary.new_count, 'payee')}", "", "", *by_cause, _plain(summary.delta_micros)))
    header = ("payee", "before", "now", *(f"by {each}" for each in causes), f"difference, {run.currency}")
    done = (
        "a preview, nothing stored"
        if billed.dry_run
        else f"waiting for approval: {counted(summary.new_count, 'statement')}"
    )
    return "\n".join(
        [
            f"restatement {run.restatement_number} of period {run.period}: {run.cause}; {done}",
            "",
            aligned(header, rows),
            "",
            f"{counted(summary.unchanged_count, 'payee')} unchanged; batch version {run.batch_version}, "
            "catalogue version "
            f"{run.catalogue_version}, rates version {run.contract_version}, run {run.run_id}",
            *_remarks(billed),
        ]
    )


def billed_period_json(billed: BilledPeriod) -> dict[str, Any]:
    """Return the same sums as JSON values; money in integer micros and nano-micros."""
    run, summary, unbilled = billed.run, billed.summary, billed.remarks.unbilled
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "period": str(run.period),
        "dry_run": billed.dry_run,
        "currency": run.currency,
        "payee_count": summary.payee_count,
        "line_count": summary.line_count,
        "new_count": summary.new_count,
        "posted_count": summary.posted_count,
        "replayed_count": summary.unchanged_count,
        "changed_count": summary.changed_count,
        "waiting": [
            {"payee_id": payee_id, "state": state, "reason": reason} for payee_id, state, reason in summary.waiting
        ],
        "billable_views": summary.billable_views,
        "unknown_views": unbilled.unknown_views,
        "unknown_video_count": unbilled.unknown_count,
        "unrated_views": unbilled.unrated.total(),
        "earned_micros": summary.earned_micros,
        "carried_nanomicros": summary.carried_nanomicros,
        "owed_nanomicros": summary.owed_nanomicros,
        "batch_version": run.batch_version,
        "catalogue_version": run.catalogue_version,
        "contract_version": run.contract_version,
        "restatement_number": run.restatement_number,
        "delta_micros": summary.delta_micros,
        "deltas": [
            {"payee_id": payee_id, "before_micros": before, "now_micros": now, "causes": summary.causes[payee_id]}
            for payee_id, before, now in summary.deltas
        ],
        "delta_by_cause": dict(summary.delta_by_cause),
        "failures": [str(failure) for failure in billed.failures],
        "warnings": summary.warnings,
        "remarks": billed.remarks.sentences(),
    }


def totals_text(totals: Sequence[LedgerTotals]) -> str:
    """Return the totals of everything posted, by currency, and whether they add up."""
    header = ("currency", "payees", "transactions", "billable views", "lines", "carried nano-micros", "difference")
    rows = [
        (
            each.currency,
            f"{each.payee_count:,}",
            f"{each.transaction_count:,}",
            f"{each.billable_views:,}",
            amount_text(each.lines_micros, each.currency),
            f"{each.carried_nanomicros:,}",
            f"{each.difference_nanomicros:,}",
        )
        for each in totals
    ]
    return aligned(header, rows) if rows else "nothing was posted yet"


def totals_json(totals: Sequence[LedgerTotals]) -> dict[str, Any]:
    """Return the same as JSON values."""
    return {
        each.currency: {
            "payee_count": each.payee_count,
            "transaction_count": each.transaction_count,
            "billable_views": each.billable_views,
            "lines_micros": each.lines_micros,
            "carried_nanomicros": each.carried_nanomicros,
            "owed_nanomicros": each.owed_nanomicros,
            "difference_nanomicros": each.difference_nanomicros,
        }
        for each in totals
    }


def _headline(billed: BilledPeriod) -> str:
    summary, period = billed.summary, billed.run.period
    unchanged = f"{summary.unchanged_count} billed before and unchanged"
    if billed.dry_run:
        return f"period {period}: dry run, nothing posted; {counted(summary.new_count, 'new statement')}, {unchanged}"
    if summary.new_count or summary.posted_count or not summary.unchanged_count:
        waiting = summary.state_counts["held"] + summary.state_counts["in_review"]
        return f"period {period}: {counted(summary.posted_count, 'payee')} posted, {waiting} waiting, {unchanged}"
    return f"period {period}: {counted(summary.unchanged_count, 'payee')} had been billed before; nothing was changed"


def _short(name: str) -> str:
    return name if len(name) <= 30 else name[:29] + "…"


def _plain(micros: int) -> str:
    return amount_text(micros, "").rstrip()
