"""Small books in which something waits for a second person, so that there is something to forge, move and approve."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import psycopg2

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.books.runs import BillingRun
from billing.books.statements import statement_id_of
from billing.money import SHARE_WHOLE_PPM
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.rating.rated_lines import VIEWS, PayeeBill, RatedLine
from billing.terms.catalogue import content_hash_of
from ingestion.contract.periods import Period

PERIOD = Period.parse("2026-10")
ANN, ZOE = (statement_id_of(PERIOD, payee, 0) for payee in ("ann", "zoe"))
"""Statements: ann's is posted; zoe's is above the limit and waits for a second person."""
LIMIT_MICROS = 1_000_000
EXECUTION_ON = (datetime.now(UTC) + timedelta(days=2)).date()
BATCH = f"VL-USD-{EXECUTION_ON:%Y%m%d}-1"
"""A payout batch that is made and waits for a second person."""
_RATE = 2_500_000
PREREQUISITES = """
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
VALUES (1, 'batch-1', '{}', '[]', '{}', '{}', '{}', '{}');
INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source)
VALUES (1, %s, 'attacks');
INSERT INTO billing.rate_cards (contract_version, content_hash, document)
VALUES (1, encode(sha256('{}'), 'hex'), '{}');
"""
"""What ledger rows point to."""


def run_of_period() -> BillingRun:
    """Return the run that billed the period."""
    return BillingRun(
        period=PERIOD,
        currency="USD",
        batch_version=1,
        catalogue_version=1,
        contract_version=1,
        unknown_views=0,
        calculated_at=datetime(2026, 11, 10, tzinfo=UTC),
        actor="eve",
        approval_limit_micros=LIMIT_MICROS,
    )


RUN = run_of_period().run_id


def fill(superuser_url: str, billing_url: str) -> None:
    """Bill a period and make a payout batch, as somebody does who may bill and nothing else."""
    with closing(psycopg2.connect(superuser_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(PREREQUISITES, (content_hash_of([], [], []),))
    connect = connector(billing_url)
    bills = [PayeeBill(payee, "USD", (_line(payee, views),)) for payee, views in (("ann", 100), ("zoe", 100_000))]
    post_bills(run_of_period(), bills, PostgresBooks(connect))
    payouts = PostgresPayouts(connect)
    payouts.import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000")], "eve")
    payouts.create_batch("USD", EXECUTION_ON, lambda _: 0, "eve")


def _line(payee: str, views: int) -> RatedLine:
    return RatedLine(
        video_id=f"video-of-{payee}",
        owned_from_on=PERIOD.start_on,
        owned_to_on=PERIOD.end_on,
        share_ppm=SHARE_WHOLE_PPM,
        effective_from_on=date(2020, 1, 1),
        country="*",
        policy_version=1,
        kind=VIEWS,
        tier_index=0,
        event_start=0,
        event_end=views,
        quantity=views,
        rate_per_thousand_micros=_RATE,
        settled_views=views,
        evidence_root="0" * 64,
    )
