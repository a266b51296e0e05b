"""`./viewledger billing proof export` and `bundle`: a period, or a statement, as files for `viewledger-verify`."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from billing.errors import BundleRefusedError, UnknownNameError
from billing.proof.file_bundle import BundledBooks, BundleReader, write_bundle
from billing.proof.journal import Record
from billing.proof.postgres_bundle import newest_versions, records_of_period
from billing.proof.postgres_journal import PostgresJournal
from billing.proof.postgres_statement_bundle import bundle_of_statement
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.settled_views import open_bundled

PROGRESS_RECORDS = 100_000


@billing_work
def export_period(environ: Mapping[str, str], *, period: Period, to: Path, reader: str, as_json: bool) -> ExitCode:
    """Write the bundle of the period's newest run; reads the batch version that the run was made from."""
    bundle_for = BundleReader(reader)
    connect = billing_connector(environ)
    versions = newest_versions(connect, period)
    if versions is None:
        raise CommandError(f"period {period} was never billed; `billing run` bills it", ExitCode.REFUSED)
    journal = PostgresJournal(connect)
    end, _ = journal.close()
    books = BundledBooks(
        records=_with_progress(journal.records(1, end)),
        is_wanted=records_of_period(connect, period, bundle_for),
        unnoted=journal.unnoted(),
        chain=journal.chain(),
        catalogue=PostgresCatalogueStore(connect).catalogue(versions.catalogue_version),
    )
    with_traffic = bundle_for is BundleReader.AUDITOR
    with open_bundled(environ, versions.batch_version, period, with_traffic=with_traffic) as (settled, traffic):
        rows = write_bundle(
            to,
            period=period,
            versions=versions,
            books=books,
            settled=settled,
            traffic=traffic,
            made_at=datetime.now(UTC),
        )
    document = {
        "to": str(to),
        "for": reader,
        "period": str(period),
        "batch_version": versions.batch_version,
        "rows": rows,
    }
    text = ", ".join(f"{count:,} {name.partition('.')[0]}" for name, count in rows.items())
    show(document, lambda: f"bundle of period {period} for the {reader} in {to}: {text}", as_json=as_json)
    return ExitCode.OK


@billing_work
def export_statement(environ: Mapping[str, str], *, statement: str, to: Path, as_json: bool) -> ExitCode:
    """Write the bundle of one statement into a new file."""
    bundle = bundle_of_statement(billing_connector(environ), statement, datetime.now(UTC))
    if bundle is None:
        raise UnknownNameError(f"there is no statement {statement}; `billing statements show` shows the ids")
    try:
        with to.open("xb") as file:
            file.write(bundle)
    except FileExistsError as error:
        raise BundleRefusedError(f"{to} is there already; give a new file") from error
    except OSError as error:
        raise BundleRefusedError(f"{to} cannot be written ({error.strerror})") from error
    records = json.loads(bundle)["records"]
    unsigned = sum("checkpoint" not in each for each in records)
    document = {"to": str(to), "statement_id": statement, "records": len(records), "records_not_signed": unsigned}
    text = (
        f"bundle of statement {statement} in {to}: {counted(len(records), 'record')}, {unsigned} of them not signed yet"
    )
    show(document, lambda: text, as_json=as_json)
    return ExitCode.OK


def _with_progress(records: Iterable[Record]) -> Iterator[Record]:
    for count, record in enumerate(records, 1):
        if count % PROGRESS_RECORDS == 0:
            print(f"export: {counted(count, 'record')}", file=sys.stderr, flush=True)
        yield record
