"""Time and memory of a billing run: bills of many payees → statements → ledger, on a PostgreSQL of its own.

    python -m bench.bench_billing [--payees 100000] [--lines 10]

For comparison, in the same run, PostgreSQL takes the same lines by a bare COPY into a table without keys, checks and
triggers. Reading and rating the settled views (Spark, HDFS) is not included; the bills are generated on demand.
"""

import argparse
import dataclasses
import resource
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import psycopg2

from billing.books.postgres_books import PostgresBooks
from billing.books.run_posting import post_bills
from billing.books.runs import BillingRun
from billing.postgres_session import connector, copy_rows
from billing.rating.rated_lines import VIEWS, PayeeBill, RatedLine
from ingestion.contract.periods import Period
from jobs.local_stack.stack import LocalStack, temporary_folder

PREREQUISITES = """
INSERT INTO published.versions (version, run_id, offsets, watermarks, snapshots, row_counts, content_hashes, day_rules)
VALUES (1, 'bench', '{}', '[]', '{}', '{}', '{}', '{}');
INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (1, 'bench', 'bench');
INSERT INTO billing.rate_cards (contract_version, content_hash, document) VALUES (1, 'bench', '{}');
"""
PERIODS = ("2026-09", "2026-10")


def main() -> None:
    """Start a PostgreSQL, bill two periods, the second again, and print time and memory of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payees", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=10, help="lines of each payee, one video each")
    flags = parser.parse_args()
    with temporary_folder() as folder, LocalStack.start(folder / "stack", servers=("postgres",)) as stack:
        url = stack.environment["VIEWLEDGER_POSTGRES_URL"]
        bare_seconds = bare_copy(url, flags.payees, flags.lines)
        print(f"bare COPY of {flags.payees * flags.lines:,} lines: {bare_seconds:.1f} s")
        execute(url, PREREQUISITES)
        books = PostgresBooks(connector(url, "viewledger_billing"))
        for period in (*PERIODS, PERIODS[-1]):
            started, before = time.monotonic(), peak_mebibytes()
            summary = post_bills(
                run_of(Period.parse(period)), bills(flags.payees, flags.lines, Period.parse(period)), books
            )
            seconds = time.monotonic() - started
            print(
                f"{period}: {summary.new_count:,} statements, {summary.line_count:,} lines, {summary.posted_count:,} "
                f"posted in {seconds:.1f} s ({seconds / bare_seconds:.1f} × bare COPY); peak memory "
                f"{before:.0f} → {peak_mebibytes():.0f} MiB"
            )
        started = time.monotonic()
        (totals,) = books.totals()
        seconds, difference = time.monotonic() - started, totals.difference_nanomicros
        print(f"{totals.transaction_count:,} transactions, {difference} nano-micros over: {seconds:.1f} s")
        started = time.monotonic()
        ever = datetime(9999, 1, 1, tzinfo=UTC)
        balances = books.balances(posted_before=ever, effective_until=ever)
        total = sum(each.balance_micros for each in balances)
        print(f"{len(balances):,} balances as of a day, Σ = {total}: {time.monotonic() - started:.1f} s")


def run_of(period: Period) -> BillingRun:
    """Return a run that approves everything itself."""
    return BillingRun(
        period=period,
        currency="USD",
        batch_version=1,
        catalogue_version=1,
        contract_version=1,
        unknown_views=0,
        calculated_at=datetime(2026, 11, 25, tzinfo=UTC),
        approval_limit_micros=10**18,
    )


def bills(payee_count: int, line_count: int, period: Period) -> Iterator[PayeeBill]:
    """Yield bills by payee id, generated on demand."""
    for payee in range(payee_count):
        lines = tuple(line(payee, index, period) for index in range(line_count))
        yield PayeeBill(f"payee-{payee:07}", "USD", lines, outcomes={"billable": line_count * 50, "own_view": 3})


def line(payee: int, index: int, period: Period) -> RatedLine:
    """Return a line of a video of its own."""
    views = 1 + (payee * 31 + index * 17) % 997
    return RatedLine(
        video_id=f"video-{payee:07}-{index:03}",
        owned_from_on=period.start_on,
        owned_to_on=period.end_on,
        share_ppm=1_000_000,
        effective_from_on=date(2026, 1, 1),
        country="*",
        policy_version=1,
        kind=VIEWS,
        tier_index=0,
        event_start=0,
        event_end=views,
        quantity=views,
        rate_per_thousand_micros=1_234_567,
        settled_views=views,
        evidence_root=f"{payee:032x}{index:032x}",
    )


def bare_copy(url: str, payee_count: int, line_count: int) -> float:
    """Return the seconds that PostgreSQL needs for the same lines without keys, checks and triggers."""
    names = [field.name for field in dataclasses.fields(RatedLine)]
    rows = (
        tuple(getattr(line(payee, index, Period.parse(PERIODS[0])), name) for name in names)
        for payee in range(payee_count)
        for index in range(line_count)
    )
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE UNLOGGED TABLE bench_lines ({', '.join(f'{name} text' for name in names)})")
        started = time.monotonic()
        copy_rows(cursor, "bench_lines", ", ".join(names), rows)
    seconds = time.monotonic() - started
    connection.close()
    execute(url, "DROP TABLE bench_lines")
    return seconds


def execute(url: str, statement: str) -> None:
    """Run one statement in a database transaction of its own."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def peak_mebibytes() -> float:
    """Return the most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
