"""One payee's statement, as a text table and as JSON values, with figures that can be added up by hand. Pure."""

from typing import Any

from billing.money import amount_text
from billing.posting import Statement
from billing.rated_lines import SINCE_EVER, WITHOUT_END, SettledLine
from billing.tables import aligned
from billing.view_chain import view_chain

_LINE_HEADER = ("video", "what", "country", "rates from", "tier", "quantity", "micros per 1000", "share ppm", "amount")


def statement_text(statement: Statement, name: str) -> str:
    """Return a payee's statement: the chain of views, every line, and the sum down to what is payable."""
    transaction = statement.transaction
    currency = transaction.currency
    rows = [_line_row(settled, currency) for settled in transaction.lines]
    total_micros = sum(settled.amount_micros for settled in transaction.lines)
    sums = [("sum of the lines", total_micros), ("over the cap of the contract", -transaction.over_cap_micros)]
    sums += [(entry.account, -entry.amount_micros) for entry in transaction.entries[1:]]
    chain = [
        (("= " if link.is_sum else "") + link.name, f"{link.events:,}") for link in view_chain(transaction.outcomes)
    ]
    return "\n".join(
        [
            f"payee {transaction.payee_id} {name}".rstrip() + f", period {statement.period}",
            "",
            *([aligned(("what became of the events", "events"), chain), ""] if transaction.outcomes else []),
            aligned(_LINE_HEADER, rows, left=4),
            "",
            aligned(("", "amount"), [(label, amount_text(micros, currency)) for label, micros in sums if micros]),
            "",
            f"carried in {transaction.carried_nanomicros_before:,}, carried on "
            f"{transaction.carried_nanomicros_after:,} nano-micros",
            f"batch version {statement.batch_version}, catalogue version {statement.catalogue_version}, rates version "
            f"{statement.contract_version}, transaction {transaction.transaction_id}, "
            f"posted {statement.posted_at.isoformat()}",
        ]
    )


def statement_json(statement: Statement) -> dict[str, Any]:
    """Return a payee's statement with the audit record of every line."""
    transaction = statement.transaction
    return {
        "payee_id": transaction.payee_id,
        "period": str(statement.period),
        "currency": transaction.currency,
        "amount_micros": transaction.amount_micros,
        "over_cap_micros": transaction.over_cap_micros,
        "carried_nanomicros_before": transaction.carried_nanomicros_before,
        "carried_nanomicros_after": transaction.carried_nanomicros_after,
        "transaction_id": transaction.transaction_id,
        "run_id": transaction.run_id,
        "posted_at": statement.posted_at.isoformat(),
        "chain": [{"name": link.name, "events": link.events} for link in view_chain(transaction.outcomes)],
        "entries": [{"account": each.account, "amount_micros": each.amount_micros} for each in transaction.entries],
        "lines": [_audit_record(settled, statement) for settled in transaction.lines],
    }


def _line_row(settled: SettledLine, currency: str) -> tuple[str, ...]:
    line = settled.line
    return (
        line.video_id,
        line.kind,
        line.country,
        line.effective_from_on.isoformat(),
        str(line.tier_index),
        f"{line.quantity:,}",
        f"{line.rate_per_thousand_micros:,}",
        f"{line.share_ppm:,}",
        amount_text(settled.amount_micros, currency),
    )


def _audit_record(settled: SettledLine, statement: Statement) -> dict[str, Any]:
    line = settled.line
    return {
        "video_id": line.video_id,
        "owned_from_on": None if line.owned_from_on == SINCE_EVER else line.owned_from_on.isoformat(),
        "owned_to_on": None if line.owned_to_on == WITHOUT_END else line.owned_to_on.isoformat(),
        "share_ppm": line.share_ppm,
        "country": line.country,
        "effective_from_on": line.effective_from_on.isoformat(),
        "kind": line.kind,
        "tier_index": line.tier_index,
        "event_start": line.event_start,
        "event_end": line.event_end,
        "quantity": line.quantity,
        "rate_per_thousand_micros": line.rate_per_thousand_micros,
        "amount_micros": settled.amount_micros,
        "carried_nanomicros": settled.carried_nanomicros,
        "currency": statement.transaction.currency,
        "period": str(statement.period),
        "calculated_at": statement.calculated_at.isoformat(),
        "batch_version": statement.batch_version,
        "policy_version": line.policy_version,
        "catalogue_version": statement.catalogue_version,
        "contract_version": statement.contract_version,
        "settled_views": line.settled_views,
        "provisional_views": 0,
        "evidence_root": line.evidence_root,
    }
