"""What the billing commands print, as text tables and as JSON values. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing.money import amount_text
from billing.period_billing import BilledPeriod
from billing.ports import LedgerTotals
from billing.rated_lines import PayeeBill

PAYEES_SHOWN = 10
VIDEOS_SHOWN = 5


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
    """Return the outcome of `billing run`: the largest payees, the sums, the versions, what stayed unpaid."""
    amounts = _amounts(billed)
    bills = sorted(billed.bills, key=lambda bill: (-amounts[bill.payee_id], bill.payee_id))
    rows = [
        _payee_row(bill, amounts[bill.payee_id], billed.name_by_payee.get(bill.payee_id, ""))
        for bill in bills[:PAYEES_SHOWN]
    ]
    if rest := bills[PAYEES_SHOWN:]:
        micros = sum(amounts[bill.payee_id] for bill in rest)
        rows.append(_sum_row(f"… {len(rest)} more", rest, micros, billed.currency))
    rows.append(_sum_row(f"sum of {len(bills)}", bills, billed.result.amount_micros, billed.currency))
    run = billed.run
    policies = sorted({line.policy_version for bill in bills for line in bill.lines})
    lines = [
        _headline(billed),
        "",
        aligned(("payee", "name", "lines", "billable views", "amount"), rows, left=2),
        "",
        f"carried on, below one micro-unit: {billed.result.carried_nanomicros:,} nano-micros",
        f"batch version {run.batch_version}, counting policy {', '.join(map(str, policies)) or '-'}, "
        f"catalogue version {run.catalogue_version}, rates version {run.contract_version}, run {run.run_id}",
    ]
    lines += [f"waived: {kind} by {actor}" for kind, actor in sorted(run.waived.items())]
    if billed.unattributed:
        shown = sorted(billed.unattributed)[:VIDEOS_SHOWN]
        more = f" and {len(billed.unattributed) - VIDEOS_SHOWN} more" if len(billed.unattributed) > VIDEOS_SHOWN else ""
        lines.append(
            f"unattributed, paid to nobody: {run.unattributed_views} billable views of {', '.join(shown)}{more}"
        )
    return "\n".join(lines)


def billed_period_json(billed: BilledPeriod) -> dict[str, Any]:
    """Return the same sums as JSON values; money in integer micros and nano-micros."""
    run, result = billed.run, billed.result
    return {
        "run_id": run.run_id,
        "period": str(run.period),
        "dry_run": billed.dry_run,
        "currency": billed.currency,
        "payee_count": len(billed.bills),
        "line_count": sum(len(bill.lines) for bill in billed.bills),
        "posted_count": 0 if billed.dry_run else len(result.posted),
        "replayed_count": len(result.replayed),
        "billable_views": _views(billed.bills),
        "unattributed_views": run.unattributed_views,
        "amount_micros": result.amount_micros,
        "carried_nanomicros": result.carried_nanomicros,
        "owed_nanomicros": sum(line.owed_nanomicros for bill in billed.bills for line in bill.lines),
        "batch_version": run.batch_version,
        "catalogue_version": run.catalogue_version,
        "contract_version": run.contract_version,
        "waived": dict(run.waived),
    }


def totals_text(totals: Sequence[LedgerTotals]) -> str:
    """Return all that was ever posted, by currency, and whether it adds up."""
    header = ("currency", "payees", "transactions", "billable views", "paid", "carried nano-micros", "difference")
    rows = [
        (
            each.currency,
            f"{each.payee_count:,}",
            f"{each.transaction_count:,}",
            f"{each.billable_views:,}",
            amount_text(each.amount_micros, each.currency),
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
            "amount_micros": each.amount_micros,
            "carried_nanomicros": each.carried_nanomicros,
            "owed_nanomicros": each.owed_nanomicros,
            "difference_nanomicros": each.difference_nanomicros,
        }
        for each in totals
    }


def _headline(billed: BilledPeriod) -> str:
    posted, replayed, period = len(billed.result.posted), len(billed.result.replayed), billed.run.period
    if billed.dry_run:
        return f"period {period}: dry run, nothing posted; {posted} payees to post, {replayed} posted before"
    if posted and replayed:
        return f"period {period}: {posted} payees posted, {replayed} posted before and unchanged"
    if replayed:
        return f"period {period}: all {replayed} payees had been posted before; nothing was changed"
    return f"period {period}: {posted} payees posted"


def _amounts(billed: BilledPeriod) -> Mapping[str, int]:
    result = billed.result
    posted = {each.payee_id: each.amount_micros for each in result.posted}
    return posted | {each.payee_id: each.amount_micros for each in result.replayed}


def _payee_row(bill: PayeeBill, amount_micros: int, name: str) -> tuple[str, ...]:
    shown = name if len(name) <= 30 else name[:29] + "…"
    views = f"{bill.billable_views:,}"
    return (bill.payee_id, shown, f"{len(bill.lines):,}", views, amount_text(amount_micros, bill.currency))


def _sum_row(label: str, bills: Sequence[PayeeBill], amount_micros: int, currency: str) -> tuple[str, ...]:
    lines = sum(len(bill.lines) for bill in bills)
    return (label, "", f"{lines:,}", f"{_views(bills):,}", amount_text(amount_micros, currency))


def _views(bills: Sequence[PayeeBill]) -> int:
    return sum(bill.billable_views for bill in bills)
