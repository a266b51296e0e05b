"""Small books in which something waits for a second person, so that there is something to forge, move and approve."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg2

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import post_bills
from billing.books.runs import BillingRun
from billing.books.statements import statement_id_of
from billing.books.states import Move
from billing.money import SHARE_WHOLE_PPM
from billing.payouts.bank_data import BankAccount
from billing.payouts.postgres_payouts import PostgresPayouts
from billing.postgres_session import connector
from billing.proof.checkpointing import make_checkpoint
from billing.proof.ed25519_keys import SigningKey
from billing.proof.file_bundle import BundledBooks, BundleReader, write_bundle
from billing.proof.postgres_bundle import newest_versions, records_of_period
from billing.proof.postgres_journal import PostgresJournal
from billing.rating.rated_lines import VIEWS, PayeeBill, RatedLine
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contracts import Contract, Contracts, Rate, RateCard, RateForm, Tier
from billing.terms.ownership import whole_share
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.merkle import MerkleTree
from ingestion.contract.periods import Period
from ingestion.contract.settled import PublishedCount, SettledEvent

PERIOD = Period.parse("2026-10")
ANN, ZOE = (statement_id_of(PERIOD, payee, 0) for payee in ("ann", "zoe"))
"""Statements: ann's is posted; zoe's is above the limit and waits for a second person."""
VIEWS_OF = {"ann": 20, "zoe": 60}
LIMIT_MICROS = 100_000
EXECUTION_ON = (datetime.now(UTC) + timedelta(days=2)).date()
BATCH = f"VL-USD-{EXECUTION_ON:%Y%m%d}-1"
"""A payout batch that is made and waits for a second person."""
_CARD = RateCard(date(2020, 1, 1), Rate(RateForm.FLAT, (Tier(None, 2_500_000),)), {})
_PUBLISHED = """
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
VALUES (1, 'batch-1', '{"topic": "video-views", "ends": [100]}', '[]', '{}', '{}', '{}', '{}')
"""


class Settled:
    """The views of the period; implements `billing.proof.file_bundle.SettledEvents`."""

    def events(self, _period: Period) -> Iterator[SettledEvent]:
        """Yield every view of every payee's one video."""
        for payee, views in VIEWS_OF.items():
            for offset, each in enumerate(_ids(payee, views)):
                place = (0, offset, PERIOD.start_on, "ZZ")
                yield SettledEvent(_video(payee), each, *place, "billable", 60, (), 1, None)

    def counts(self, _period: Period) -> Iterator[PublishedCount]:
        """Yield the published counts of each video."""
        for payee, views in VIEWS_OF.items():
            yield PublishedCount(_video(payee), PERIOD.start_on, "ZZ", views, views, 1)


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


def fill(superuser_url: str, billing_url: str, approver_url: str) -> None:
    """Import terms, bill a period and make a payout batch, as a login that may bill and nothing else.

    The bank account that the batch pays to was approved by a second person; nothing else is.
    """
    with closing(psycopg2.connect(superuser_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_PUBLISHED)
    connect = connector(billing_url)
    store = PostgresCatalogueStore(connect)
    store.import_catalogue(_catalogue(), "attacks")
    store.import_contracts(Contracts("USD", (Contract("standard", None, (_CARD,)),)))
    bills = [
        PayeeBill(payee, "USD", (_line(payee, views),), outcomes={"billable": views})
        for payee, views in VIEWS_OF.items()
    ]
    post_bills(run_of_period(), bills, PostgresBooks(connect))
    payouts = PostgresPayouts(connect)
    payouts.import_accounts([BankAccount("ann", "Ann", "DE89370400440532013000")], "eve")
    PostgresStates(connector(approver_url, "viewledger_approver")).move(
        "bank_account", "ann:1", Move("in_force", "max")
    )
    payouts.create_batch("USD", EXECUTION_ON, lambda _: 0, "eve")


def export(superuser_url: str, key: SigningKey, folder: Path) -> None:
    """Sign the content of the books and write the bundle of the period."""
    connect = connector(superuser_url)
    journal, today = PostgresJournal(connect), datetime.now(UTC).date()
    make_checkpoint(journal, key, day=today, today=today)
    versions = newest_versions(connect, PERIOD)
    if versions is None:
        raise RuntimeError("the period was not billed")
    end, _ = journal.close()
    books = BundledBooks(
        records=journal.records(1, end),
        is_wanted=records_of_period(connect, PERIOD, BundleReader.PAYEE),
        unnoted=journal.unnoted(),
        chain=journal.chain(),
        catalogue=PostgresCatalogueStore(connect).catalogue(1),
    )
    made_at = datetime.now(UTC)
    write_bundle(
        folder, period=PERIOD, versions=versions, books=books, settled=Settled(), traffic=None, made_at=made_at
    )


def _catalogue() -> Catalogue:
    payees = tuple(Payee(payee, payee.title()) for payee in VIEWS_OF)
    videos = tuple(Video(_video(payee)) for payee in VIEWS_OF)
    return Catalogue(payees, videos, tuple(whole_share(_video(payee), payee) for payee in VIEWS_OF))


def _video(payee: str) -> str:
    return f"video-of-{payee}"


def _ids(payee: str, views: int) -> list[str]:
    return sorted(str(uuid.uuid5(uuid.NAMESPACE_URL, f"{payee}/{number}")) for number in range(views))


def _line(payee: str, views: int) -> RatedLine:
    tree = MerkleTree()
    for each in _ids(payee, views):
        tree.add(each.encode())
    return RatedLine(
        video_id=_video(payee),
        owned_from_on=PERIOD.start_on,
        owned_to_on=PERIOD.end_on,
        share_ppm=SHARE_WHOLE_PPM,
        effective_from_on=_CARD.effective_from_on,
        country="*",
        policy_version=1,
        kind=VIEWS,
        tier_index=0,
        event_start=0,
        event_end=views,
        quantity=views,
        rate_per_thousand_micros=_CARD.default.tiers[0].per_thousand_micros,
        settled_views=views,
        evidence_root=tree.root().hex(),
    )
