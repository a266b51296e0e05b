"""What the billing commands print, as text tables and as JSON values. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from billing.money import amount_text
from billing.period_billing import BilledPeriod
from billing.ports import LedgerTotals
from billing.posting import PayeeBill, Statement

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
        f"carried on, below one micro-unit: {billed.result.carried_thousandths} thousandths of a micro-unit",
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
    """Return the same sums as JSON values; money in integer micros and thousandths of them."""
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
        "carried_thousandths": result.carried_thousandths,
        "owed_thousandths": sum(line.owed_thousandths for bill in billed.bills for line in bill.lines),
        "batch_version": run.batch_version,
        "catalogue_version": run.catalogue_version,
        "contract_version": run.contract_version,
        "waived": dict(run.waived),
    }


def statement_text(statement: Statement, name: str) -> str:
    """Return a payee's bill, line by line, in an order and with figures that can be added up by hand."""
    transaction = statement.transaction
    rows = [
        (
            settled.line.video_id,
            settled.line.country,
            settled.line.effective_from_on.isoformat(),
            f"{settled.line.settled_views:,}",
            f"{settled.line.billable_views:,}",
            f"{settled.line.rate_per_thousand_micros:,}",
            amount_text(settled.amount_micros, transaction.currency),
        )
        for settled in transaction.lines
    ]
    views = sum(settled.line.settled_views for settled in transaction.lines)
    billable = sum(settled.line.billable_views for settled in transaction.lines)
    total = amount_text(transaction.amount_micros, transaction.currency)
    rows.append(("sum", "", "", f"{views:,}", f"{billable:,}", "", total))
    header = ("video", "country", "rates from", "views", "billable views", "micros per 1000", "amount")
    return "\n".join(
        [
            f"payee {transaction.payee_id} {name}".rstrip() + f", period {statement.period}",
            "",
            aligned(header, rows, left=3),
            "",
            f"carried in {transaction.carried_thousandths_before}, carried on {transaction.carried_thousandths_after} "
            "thousandths of a micro-unit",
            f"batch version {statement.batch_version}, catalogue version {statement.catalogue_version}, rates version "
            f"{statement.contract_version}, transaction {transaction.transaction_id}, "
            f"posted {statement.posted_at.isoformat()}",
        ]
    )


def statement_json(statement: Statement) -> dict[str, Any]:
    """Return a payee's bill with the audit record of every line."""
    transaction = statement.transaction
    return {
        "payee_id": transaction.payee_id,
        "period": str(statement.period),
        "currency": transaction.currency,
        "amount_micros": transaction.amount_micros,
        "carried_thousandths_before": transaction.carried_thousandths_before,
        "carried_thousandths_after": transaction.carried_thousandths_after,
        "transaction_id": transaction.transaction_id,
        "run_id": transaction.run_id,
        "posted_at": statement.posted_at.isoformat(),
        "entries": [{"account": each.account, "amount_micros": each.amount_micros} for each in transaction.entries],
        "lines": [
            {
                "video_id": settled.line.video_id,
                "country": settled.line.country,
                "effective_from_on": settled.line.effective_from_on.isoformat(),
                "billable_views": settled.line.billable_views,
                "rate_per_thousand_micros": settled.line.rate_per_thousand_micros,
                "amount_micros": settled.amount_micros,
                "currency": transaction.currency,
                "period": str(statement.period),
                "calculated_at": statement.calculated_at.isoformat(),
                "batch_version": statement.batch_version,
                "policy_version": settled.line.policy_version,
                "catalogue_version": statement.catalogue_version,
                "contract_version": statement.contract_version,
                "settled_views": settled.line.settled_views,
                "provisional_views": 0,
                "evidence_root": settled.line.evidence_root,
            }
            for settled in transaction.lines
        ],
    }


def totals_text(totals: Sequence[LedgerTotals]) -> str:
    """Return all that was ever posted, by currency, and whether it adds up."""
    header = ("currency", "payees", "transactions", "billable views", "paid", "carried thousandths", "difference")
    rows = [
        (
            each.currency,
            f"{each.payee_count:,}",
            f"{each.transaction_count:,}",
            f"{each.billable_views:,}",
            amount_text(each.amount_micros, each.currency),
            f"{each.carried_thousandths:,}",
            f"{each.difference_thousandths:,}",
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
            "carried_thousandths": each.carried_thousandths,
            "owed_thousandths": each.owed_thousandths,
            "difference_thousandths": each.difference_thousandths,
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
    views = sum(line.billable_views for line in bill.lines)
    return (bill.payee_id, shown, f"{len(bill.lines):,}", f"{views:,}", amount_text(amount_micros, bill.currency))


def _sum_row(label: str, bills: Sequence[PayeeBill], amount_micros: int, currency: str) -> tuple[str, ...]:
    lines = sum(len(bill.lines) for bill in bills)
    return (label, "", f"{lines:,}", f"{_views(bills):,}", amount_text(amount_micros, currency))


def _views(bills: Sequence[PayeeBill]) -> int:
    return sum(line.billable_views for bill in bills for line in bill.lines)
