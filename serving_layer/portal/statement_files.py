"""A statement as files for machines and spreadsheets: the same numbers as on its page. Pure."""

import csv
import io
import json
from typing import Any

from serving_layer.portal.formatting import machine
from serving_layer.portal.records import StatementLine, StatementPage

LINE_COLUMNS = (
    "video_id", "for", "country", "rates_from_on", "tier", "share_ppm", "quantity", "rate_per_thousand_micros",
    "amount_micros", "currency", "evidence_root",
)  # fmt: skip


def statement_json(statement: StatementPage) -> str:
    """Return the whole statement as JSON; amounts are integer micro-units."""
    row = statement.row
    document: dict[str, Any] = {
        "statement_id": row.statement_id,
        "payee_id": row.payee_id,
        "payee_name": row.payee_name,
        "period": row.period,
        "restatement": row.restatement,
        "state": row.state,
        "currency": row.currency,
        "payable_micros": row.payable_micros,
        "carried_nanomicros": list(statement.carried_nanomicros),
        "versions": dict(statement.versions),
        "chain": [
            {"step": step.label, "amount": step.amount, "unit": step.unit, "sign": step.sign}
            for step in statement.chain
        ],
        "lines": [dict(zip(LINE_COLUMNS, _cells(line, row.currency), strict=True)) for line in statement.lines],
        "history": [
            {"state": each.state, "actor": each.actor, "reason": each.reason, "at": machine(each.at)}
            for each in statement.transitions
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def statement_csv(statement: StatementPage) -> str:
    """Return the lines of a statement as CSV with a head line.

    A cell that a spreadsheet would take for a formula is led by an apostrophe; ids may begin with `-`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(LINE_COLUMNS)
    for line in statement.lines:
        writer.writerow([_harmless(cell) for cell in _cells(line, statement.row.currency)])
    return text.getvalue()


def _cells(line: StatementLine, currency: str) -> tuple[object, ...]:
    return (
        line.video_id, line.what, line.heading, line.rates_from_on.isoformat(), line.tier, line.share_ppm,
        line.quantity, line.rate_per_thousand_micros, line.amount_micros, currency, line.evidence_root,
    )  # fmt: skip


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell
