"""Bundles of single statements of a random month, with the events that they pay."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from billing.proof.checkpoint import Link
from billing.proof.journal import Record
from billing.proof.paid_events import PaidGroup, PaidLine, paid_events
from billing.proof.statement_bundle import Inclusion, OwnTerms, ProvenRecord, statement_bundle
from ingestion.contract.merkle import proofs_of_all
from ingestion.contract.settled import BillableEvent
from serving_layer.money.proofs import PaidEvent
from tests.bundle_makers import NOON, Month


def statements_of(month: Month) -> list[dict[str, Any]]:
    """Return the records of a month's statements."""
    contents = (json.loads(each.content) for each in month.records)
    return [each for each in contents if each["kind"] == "statement"]


def bundle_of(month: Month, statement_id: str, chain: Sequence[Link]) -> bytes:
    """Return the bundle of a statement; records after the last checkpoint have no path."""
    own = [each for each in month.records if _is_about(json.loads(each.content), statement_id)]
    row = json.loads(own[0].content)["row"]
    terms = OwnTerms(row["payee_id"], row["currency"], month.contracts.contract_for(row["payee_id"]))
    proven = [ProvenRecord(each, _inclusion(month.records, each, chain)) for each in own]
    return statement_bundle(statement_id, proven, chain, terms, NOON)


def events_of(month: Month, statement: dict[str, Any]) -> list[PaidEvent]:
    """Return the events that a statement of the newest run pays."""
    contract = month.contracts.contract_for(statement["row"]["payee_id"])
    assert contract is not None
    lengths = {each.video_id: each.length_seconds for each in month.catalogue.videos if each.length_seconds is not None}
    billable = [
        BillableEvent(
            each.video_id, each.event_id or "", each.event_day, each.country, each.view_duration or 0,
            each.policy_version or 0,
        )
        for each in month.events(None)
        if each.outcome == "billable"
    ]  # fmt: skip
    paid = paid_events(billable, [_line(each) for each in statement["lines"]], contract, lengths)
    return [
        PaidEvent(number, each.event.video_id, each.event.event_id, tuple(line.line_index for line in each.lines))
        for number, each in enumerate((each for each in paid if each.lines), 1)
    ]


def _line(line: dict[str, Any]) -> PaidLine:
    days = {name: date.fromisoformat(line[name]) for name in ("owned_from_on", "effective_from_on", "owned_to_on")}
    group = PaidGroup(
        line["video_id"], days["owned_from_on"], days["effective_from_on"], line["country"], line["policy_version"]
    )
    place = (line["kind"], line["event_start"], line["event_end"], line["evidence_root"])
    return PaidLine(line["line_index"], group, days["owned_to_on"], *place)


def _is_about(content: dict[str, Any], statement_id: str) -> bool:
    kind, row = content["kind"], content["row"]
    if kind == "transition":
        return bool((row["subject_kind"], row["subject_id"]) == ("statement", statement_id))
    return kind in ("statement", "transaction") and row.get("statement_id") == statement_id


def _inclusion(records: Sequence[Record], record: Record, chain: Sequence[Link]) -> Inclusion | None:
    for link in chain:
        fields = link.fields
        if fields["kind"] == "checkpoint" and fields["position_start"] <= record.position < fields["position_end"]:
            covered = [e for e in records if fields["position_start"] <= e.position < fields["position_end"]]
            proof = proofs_of_all([each.content for each in covered])[covered.index(record)]
            return Inclusion(link.sequence, proof.leaf_index, tuple(each.hex() for each in proof.path))
    return None
