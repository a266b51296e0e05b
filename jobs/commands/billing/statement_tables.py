"""One payee's statement, as a text table and as JSON values, with figures that can be added up by hand. Pure."""

from typing import Any

from billing.books.statements import PostedStatement
from billing.money import amount_text
from billing.rating.rated_lines import SettledLine
from billing.rating.view_chain import view_chain
from jobs.commands.billing.tables import aligned

_LINE_HEADER = ("video", "what", "country", "rates from", "tier", "quantity", "micros per 1000", "share ppm", "amount")


def statement_text(posted: PostedStatement, name: str) -> str:
    """Return a payee's statement: the chain of views, every line, and the sum down to the payable amount."""
    statement, currency = posted.statement, posted.statement.currency
    rows = [_line_row(settled, currency) for settled in posted.lines]
    sums = [
        ("sum of the lines", sum(settled.amount_micros for settled in posted.lines)),
        ("over the cap of the contract", -statement.over_cap_micros),
        (f"tax withheld for {statement.tax_country}", -statement.tax_micros),
        ("payable", statement.payable_micros),
    ]
    chain = [(("= " if link.is_sum else "") + link.name, f"{link.events:,}") for link in view_chain(statement.outcomes)]
    number = f", restatement {statement.restatement_number}" if statement.restatement_number else ""
    return "\n".join(
        [
            f"payee {statement.payee_id} {name}".rstrip() + f", period {statement.period}{number}, {posted.state}",
            "",
            *([aligned(("what became of the events", "events"), chain), ""] if statement.outcomes else []),
            aligned(_LINE_HEADER, rows, left=4),
            "",
            aligned(("", "amount"), [(label, amount_text(micros, currency)) for label, micros in sums if micros]),
            "",
            f"carried in {statement.carried_nanomicros_before:,}, carried on "
            f"{statement.carried_nanomicros_after:,} nano-micros",
            f"batch version {posted.batch_version}, catalogue version {posted.catalogue_version}, rates version "
            f"{posted.contract_version}, statement {statement.statement_id}, "
            + (f"posted {posted.posted_at.isoformat()}" if posted.posted_at else "not posted yet"),
        ]
    )


def statement_json(posted: PostedStatement) -> dict[str, Any]:
    """Return a payee's statement with the audit record of every line."""
    statement = posted.statement
    return {
        "statement_id": statement.statement_id,
        "payee_id": statement.payee_id,
        "period": str(statement.period),
        "restatement_number": statement.restatement_number,
        "supersedes": statement.supersedes,
        "state": posted.state,
        "currency": statement.currency,
        "earned_micros": statement.earned_micros,
        "over_cap_micros": statement.over_cap_micros,
        "tax_country": statement.tax_country,
        "tax_micros": statement.tax_micros,
        "payable_micros": statement.payable_micros,
        "carried_nanomicros_before": statement.carried_nanomicros_before,
        "carried_nanomicros_after": statement.carried_nanomicros_after,
        "run_id": statement.run_id,
        "posted_at": posted.posted_at.isoformat() if posted.posted_at else None,
        "chain": [{"name": link.name, "events": link.events} for link in view_chain(statement.outcomes)],
        "lines": [_audit_record(settled, posted) for settled in posted.lines],
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


def _audit_record(settled: SettledLine, posted: PostedStatement) -> dict[str, Any]:
    line = settled.line
    return {
        "video_id": line.video_id,
        "owned_from_on": line.owned_from_on.isoformat(),
        "owned_to_on": line.owned_to_on.isoformat(),
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
        "currency": posted.statement.currency,
        "period": str(posted.statement.period),
        "calculated_at": posted.calculated_at.isoformat(),
        "batch_version": posted.batch_version,
        "policy_version": line.policy_version,
        "catalogue_version": posted.catalogue_version,
        "contract_version": posted.contract_version,
        "settled_views": line.settled_views,
        "provisional_views": 0,
        "evidence_root": line.evidence_root,
    }
