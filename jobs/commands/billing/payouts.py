"""`./viewledger billing bank-accounts import`, `billing payouts create | file`: to the bank."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from tempfile import mkstemp

from billing.money import amount_text
from billing.payouts.bank_data import BankAccount, account_problems
from billing.payouts.execution_day import execution_day_problem, next_target_day
from billing.payouts.file_bank_accounts import read_bank_accounts
from billing.payouts.file_payouts import pain_001, payout_csv
from billing.payouts.payouts import SEPA, PayoutBatch
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import MinimumOf, PostgresPayouts
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_payees import no_payee, unknown_payees
from ingestion.contract.printable import counted
from ingestion.contract.requests import FileRefusedError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import PAYOUT_DEBTOR_BIC, PAYOUT_DEBTOR_IBAN, PAYOUT_DEBTOR_NAME
from jobs.wiring.billing_settings import (
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work
from jobs.wiring.payout_batches import batch_of

LEFT_SHOWN = 50
DEBTOR_UNSET = f"{PAYOUT_DEBTOR_NAME.name} and {PAYOUT_DEBTOR_IBAN.name} are not set"
_SETTING_OF = {"holder_name": PAYOUT_DEBTOR_NAME, "iban": PAYOUT_DEBTOR_IBAN, "bic": PAYOUT_DEBTOR_BIC}


@billing_work
def import_accounts(environ: Mapping[str, str], *, file: Path, actor: str, as_json: bool) -> ExitCode:
    """Store the new and changed accounts."""
    accounts = read_bank_accounts(file)
    connect = billing_connector(environ)
    lines = {account.payee_id: line for line, account in accounts.items()}
    if unknown := unknown_payees(connect, lines):
        raise FileRefusedError(
            [f"{file}, line {lines[each[0]]}, column payee_id: {no_payee(*each)}" for each in unknown.items()]
        )
    new = PostgresPayouts(connect).import_accounts(list(accounts.values()), actor)
    document = {"account_count": len(accounts), "new_count": new}
    waits = "; each waits for a second person: `billing proposals list`" if new else ""
    show(document, lambda: f"{counted(len(accounts), 'account')} read, {new} new or changed{waits}", as_json=as_json)
    return ExitCode.OK


@billing_work
def create_batch(
    environ: Mapping[str, str], *, currency: str, execution_on: date, preview: bool, actor: str, as_json: bool
) -> ExitCode:
    """Make a batch of everything that can be paid, and print who is left out and why."""
    _check_execution_day(execution_on)
    debtor = debtor_of(environ) if currency == SEPA else None
    check = partial(pain_001, debtor=debtor) if debtor else None
    connect = billing_connector(environ)
    payouts, minimum_of = PostgresPayouts(connect), _minimum_of(PostgresCatalogueStore(connect), execution_on)
    if preview:
        items, left = payouts.preview(currency, execution_on, minimum_of, check=check)
    else:
        items, left = payouts.create_batch(currency, execution_on, minimum_of, actor, check=check)
    total_micros = sum(item.amount_micros for item in items)
    batch_id = items[0].batch_id if items else None
    notes = _notes(currency, execution_on, debtor) if items else []
    document = {
        "batch_id": batch_id,
        "preview": preview,
        "item_count": len(items),
        "amount_micros": total_micros,
        "currency": currency,
        "left": [{"payee_id": payee_id, "reason": reason} for payee_id, reason in left],
        "notes": notes,
    }
    done = "would be paid" if preview else "instructed"
    total = amount_text(total_micros, currency)
    head = f"batch {batch_id}: {counted(len(items), 'payment')}, {total} {done}" if items else "nothing to pay"
    lines = [f"left: payee {payee_id}: {reason}" for payee_id, reason in left[:LEFT_SHOWN]]
    if len(left) > LEFT_SHOWN:
        lines.append(f"left: {counted(len(left) - LEFT_SHOWN, 'more payee')}")
    show(document, lambda: "\n".join([head, *lines, *(f"note: {note}" for note in notes)]), as_json=as_json)
    return ExitCode.OK


def _check_execution_day(day: date) -> None:
    if problem := execution_day_problem(day, datetime.now(UTC).date()):
        raise CommandError(f"--execution-on: {problem}", ExitCode.BAD_INPUT)


def _notes(currency: str, execution_on: date, debtor: BankAccount | None) -> list[str]:
    """Return what the approver of a SEPA batch should know."""
    if currency != SEPA:
        return []
    notes = []
    if (open_on := next_target_day(execution_on)) != execution_on:
        notes.append(f"{execution_on} is not a day of TARGET: banks execute on {open_on}")
    if debtor is None:
        notes.append(f"{DEBTOR_UNSET}: the batch can be written as csv, not as pain.001")
    return notes


def _minimum_of(catalogues: PostgresCatalogueStore, day: date) -> MinimumOf:
    """Return the function that reads a payee's minimum payout from the contract in force."""
    newest = catalogues.newest_contracts()

    def minimum_of(payee_id: str) -> int:
        contract = newest[1].contract_for(payee_id) if newest else None
        card = contract.card_on(day) if contract else None
        return card.minimum_payout_micros if card else 0

    return minimum_of


@billing_work
def write_file(
    environ: Mapping[str, str], *, batch: str, format: str, out: Path, actor: str, as_json: bool
) -> ExitCode:
    """Write the file of an approved batch; it holds bank data, so that only its owner may read it."""
    found = batch_of(billing_connector(environ), batch)
    content = _content(found, format, environ)
    place = Path(os.path.realpath(out))
    if place.exists() and not place.is_file():
        raise CommandError(f"{out} is a folder or a device; name a file", ExitCode.BAD_INPUT)
    try:
        # 1. beside its place, so that nothing is noted of a file that cannot be written
        descriptor, name = mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            # 2. noted: refused unless it is approved, and never to be voided from here on
            PostgresPayoutSteps(billing_connector(environ)).write(found.batch_id, actor)
            # 3. to its place
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{out} cannot be written ({error.strerror})", ExitCode.BAD_INPUT) from error
    total = amount_text(found.amount_micros, found.currency)
    document = {"batch_id": found.batch_id, "item_count": len(found.items), "amount_micros": found.amount_micros}
    show(document, lambda: f"{out}: {counted(len(found.items), 'payment')}, {total}", as_json=as_json)
    return ExitCode.OK


def _content(batch: PayoutBatch, form: str, environ: Mapping[str, str]) -> bytes:
    if form == "csv":
        return payout_csv(batch)
    debtor = debtor_of(environ) if batch.currency == SEPA else None
    if debtor is None:
        cause = DEBTOR_UNSET if batch.currency == SEPA else "a SEPA transfer is in EUR"
        raise CommandError(
            f"batch {batch.batch_id} in {batch.currency} cannot be written as pain.001: {cause}; use --format csv",
            ExitCode.BAD_INPUT,
        )
    return pain_001(batch, debtor)


def debtor_of(environ: Mapping[str, str]) -> BankAccount | None:
    """Return the account that pays, validated like payees' accounts; None if none of its settings is set."""
    if not any(each.is_set(environ) for each in _SETTING_OF.values()):
        return None
    name, iban = PAYOUT_DEBTOR_NAME.read(environ), PAYOUT_DEBTOR_IBAN.read(environ)
    bic = (PAYOUT_DEBTOR_BIC.read_if_set(environ) or "").strip() or None
    account = BankAccount("", name.strip(), iban.replace(" ", ""), bic)
    for column, problem in account_problems(account).items():
        raise CommandError(f"{_SETTING_OF[column].name}: {problem}", ExitCode.BAD_INPUT)
    return account
