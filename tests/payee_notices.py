"""A notice to a payee, for tests."""

from datetime import UTC, date, datetime

from billing.notices.notice import PayeeNotice

FINAL_STATEMENT = PayeeNotice(
    notice_id="0123456789abcdef0123456789abcdef",
    kind="statement_final",
    subject_kind="statement",
    subject_id="s1",
    transition_index=2,
    payee_id="ann",
    account_version=1,
    email="ann@example.org",
    moved_at=datetime(2026, 11, 3, 4, 10, tzinfo=UTC),
    currency="EUR",
    amount_micros=12_500_000,
    period_start_on=date(2026, 10, 1),
    period_end_on=date(2026, 11, 1),
)
