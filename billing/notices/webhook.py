"""A notice as a signed webhook, by the Standard Webhooks specification (standardwebhooks.com). Pure."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date

from billing.notices.notice import PayeeNotice, link_of


def body_of(notice: PayeeNotice, *, portal_url: str | None) -> bytes:
    """Return the JSON body of a notice: the same bytes in each attempt, with no bank data.

    `portal_url` is the origin of the portal, without a slash at the end; None: `link` is null.
    """
    document = {
        "type": notice.kind,
        "timestamp": notice.moved_at.astimezone(UTC).isoformat(),
        "data": {
            "notice_id": notice.notice_id,
            "payee_id": notice.payee_id,
            "email": notice.email,
            "subject_kind": notice.subject_kind,
            "subject_id": notice.subject_id,
            "currency": notice.currency,
            "amount_micros": notice.amount_micros,
            "period_start_on": _day(notice.period_start_on),
            "period_end_on": _day(notice.period_end_on),
            "link": link_of(notice, portal_url=portal_url),
        },
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _day(day: date | None) -> str | None:
    return None if day is None else str(day)


def signed_headers(keys: Sequence[bytes], notice_id: str, body: bytes, *, attempted_at: int) -> Mapping[str, str]:
    """Return the headers that let a receiver verify an attempt, with one signature for each key.

    `attempted_at` is in seconds since 1970. A receiver refuses old attempts by it, and drops ids that it has seen.
    """
    signed = f"{notice_id}.{attempted_at}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "Content-Type": "application/json",
        "Webhook-Id": notice_id,
        "Webhook-Timestamp": str(attempted_at),
        "Webhook-Signature": " ".join(f"v1,{each}" for each in signatures),
    }
