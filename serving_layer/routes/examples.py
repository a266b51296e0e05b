"""Examples of answers, as the OpenAPI document shows them; a test holds each against its schema. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ingestion.contract.plays import SignedPlays
from ingestion.contract.problem import Problem
from ingestion.contract.traffic_reasons import InvalidClass
from serving_layer.counts.answers import ChannelViews, LookupAnswer
from serving_layer.counts.merge import ServedCount
from serving_layer.history.invalid import ChannelInvalid, VideoInvalid
from serving_layer.history.series import ChannelSeries, Top, VideoSeries
from serving_layer.money.appeals import AppealReceipt
from serving_layer.money.catalogue_import import ImportAnswer
from serving_layer.money.proofs import EventPayment
from serving_layer.money.statements import StatementDetail, StatementList
from serving_layer.money.todays_estimate import NOTE, TodaysEstimate
from serving_layer.problems.problems import CODES

_ENVELOPE = {
    "version": 7,
    "settled_until": "2026-11-23T08:00:00Z",
    "as_of": "2026-11-23T08:00:00Z",
    "complete": True,
}
COUNT: dict[str, Any] = {
    "video_id": "-JinobXWPk",
    "views": 1017,
    "settled_views": 1000,
    "provisional_views": 17,
    "billable_views": None,
    **_ENVELOPE,
    "as_of": "2026-11-23T10:00:00.250Z",
    "known": True,
}
LOOKUP: dict[str, Any] = {**_ENVELOPE, "as_of": COUNT["as_of"], "counts": [COUNT]}
SERIES: dict[str, Any] = {
    **_ENVELOPE,
    "window": "day",
    "timezone": "Europe/Berlin",
    "from": "2026-10-25T00:00:00+02:00",
    "to": "2026-10-26T00:00:00+01:00",
    "group_by": ["country"],
    "rows": [
        {
            "start": "2026-10-25T00:00:00+02:00",
            "end": "2026-10-26T00:00:00+01:00",
            "views": 25,
            "billable_views": 20,
            "country": "DE",
        }
    ],
    "next": None,
}
CHANNEL: dict[str, Any] = {
    "payee_id": "anna",
    "videos": 12,
    "views": 20517,
    "settled_views": 20500,
    "provisional_views": 17,
    "billable_views": 18100,
    **_ENVELOPE,
}
ESTIMATE: dict[str, Any] = {
    **_ENVELOPE,
    "as_of": COUNT["as_of"],
    "kind": "estimate",
    "payee_id": "anna",
    "day": "2026-11-23",
    "billable_views_at_least": 410,
    "billable_views_at_most": 517,
    "currency": "EUR",
    "earned_micros_at_least": 820_000,
    "earned_micros_at_most": 1_034_000,
    "settled_views": 620,
    "settled_billable_views": 500,
    "live_views": 17,
    "checked_days": 60,
    "note": NOTE,
}
TOP: dict[str, Any] = {
    **_ENVELOPE,
    "by": "views",
    "from": "2026-11-01",
    "to": "2026-11-08",
    "rows": [{"rank": 1, "video_id": "-JinobXWPk", "views": 812, "billable_views": None}],
    "next": "q1w2e3",
}
INVALID: dict[str, Any] = {
    **_ENVELOPE,
    "from": "2026-11-01",
    "to": "2026-11-08",
    "classes": {each.value: 12 if each is InvalidClass.ROBOT else 0 for each in InvalidClass},
    "rows": [
        {
            "event_day": "2026-11-03",
            "class": "robot",
            "events": 12,
            "sample_event_ids": ["8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b"],
        }
    ],
}
_SUMMARY: dict[str, Any] = {
    "statement_id": "8f14e45fceea467f9a3c1b2d3e4f5a6b",
    "payee_id": "anna",
    "period_start_on": "2026-10-01",
    "period_end_on": "2026-11-01",
    "restatement_number": 0,
    "supersedes": None,
    "state": "finalised",
    "currency": "EUR",
    "billable_views": 800,
    "earned_micros": 1_600_000,
    "over_cap_micros": 0,
    "tax_country": "DE",
    "tax_micros": 0,
    "payable_micros": 1_600_000,
    "carried_nanomicros_before": 0,
    "carried_nanomicros_after": 0,
    "line_count": 1,
    "chain": [{"name": "received", "events": 1030}, {"name": "duplicate", "events": -30}],
}
STATEMENTS: dict[str, Any] = {"payee_id": "anna", "rows": [_SUMMARY], "next": None}
STATEMENT: dict[str, Any] = {
    **_SUMMARY,
    "batch_version": 7,
    "catalogue_version": 2,
    "contract_version": 1,
    "calculated_at": "2026-11-03T02:00:00Z",
    "posted_at": "2026-11-03T02:00:05Z",
    "lines": [
        {
            "line_index": 0,
            "video_id": "-JinobXWPk",
            "owned_from_on": "2026-10-01",
            "owned_to_on": "2026-11-01",
            "share_ppm": 1_000_000,
            "kind": "views",
            "country": "*",
            "effective_from_on": "2026-01-01",
            "tier_index": 0,
            "quantity": 800,
            "rate_per_thousand_micros": 2_000_000,
            "amount_micros": 1_600_000,
            "settled_views": 1000,
            "policy_version": 1,
            "evidence_root": "0" * 64,
            "title": "A walk in November",
        }
    ],
}
APPEAL: dict[str, Any] = {
    "appeal_id": "5f1c9a3be07d2468",
    "statement_id": STATEMENT["statement_id"],
    "received_at": "2026-11-25T10:30:00Z",
}
IMPORT: dict[str, Any] = {
    "version": 3,
    "new": True,
    "state": "proposed",
    "payee_count": 41,
    "video_count": 1915,
    "changes": {
        "payees": {"new": 0, "changed": 0, "gone": 0},
        "videos": {"new": 2, "changed": 0, "gone": 0},
        "owners": {"new": 3, "changed": 0, "gone": 1},
    },
}
EVENT_PAYMENT: dict[str, Any] = {
    "event_id": "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b",
    "status": "paid",
    "version": 7,
    "video_id": "-JinobXWPk",
    "event_day": "2026-10-03",
    "reason": None,
    "copies": [{"partition": 0, "offset": 17, "received_at": "2026-10-03T08:00:00Z", "verdict": "counted"}],
    "parts": [
        {
            "payee_id": "anna",
            "status": "paid",
            "reason": None,
            "statement_id": "8f14e45fceea467f9a3c1b2d3e4f5a6b",
            "period": "2026-10",
            "line_index": 0,
            "evidence_root": "0" * 64,
            "leaf_index": 5,
            "leaf_count": 800,
            "audit_path": ["1" * 64],
        }
    ],
}
EVENT = f"id: 7.1000.17.None.3\nevent: count\ndata: {msgspec.json.encode(COUNT).decode()}\n\n"

CHANNEL_EVENT = f"id: 7.12.20500.17.18100.1\nevent: count\ndata: {msgspec.json.encode(CHANNEL).decode()}\n\n"

PLAYS: dict[str, Any] = {
    "plays": [
        {
            "play": "eyJhbGciOiJIUzI1NiIsImtpZCI6IjIwMjYtMTEifQ.eyJqdGki….L3L6CDcH…",
            "event_id": "6b6a4bb2-7d53-4f0e-9a52-0a4f3c6f7c11",
            "begun_at": "2026-11-23T10:00:00Z",
            "start_until": "2026-11-23T10:10:00Z",
        }
    ]
}

EXAMPLES: Mapping[type[msgspec.Struct], dict[str, Any]] = {
    ServedCount: COUNT,
    LookupAnswer: LOOKUP,
    ChannelViews: CHANNEL,
    VideoSeries: {"video_id": "-JinobXWPk", **SERIES},
    ChannelSeries: {"payee_id": "anna", **SERIES},
    Top: TOP,
    VideoInvalid: {"video_id": "-JinobXWPk", **INVALID},
    ChannelInvalid: {"payee_id": "anna", **INVALID},
    TodaysEstimate: ESTIMATE,
    StatementList: STATEMENTS,
    StatementDetail: STATEMENT,
    EventPayment: EVENT_PAYMENT,
    AppealReceipt: APPEAL,
    ImportAnswer: IMPORT,
    SignedPlays: PLAYS,
}
"""Answer → an example of it."""


def problem_of(code: str) -> dict[str, Any]:
    """Return a problem document as it is sent; the sentence is the code's meaning."""
    status, meaning = CODES[code]
    found: dict[str, Any] = msgspec.json.decode(Problem(status, code, meaning).to_json())
    return found
