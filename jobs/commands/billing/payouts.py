"""`./viewledger billing bank-accounts | payout-create | -file | -import | -reconcile`: to the bank and back."""

import argparse
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from tempfile import mkstemp

from billing.errors import AcknowledgementError, FileRefusedError
from billing.money import amount_text
from billing.payouts.bank_data import BankAccount, account_problems
from billing.payouts.execution_day import execution_day_problem, next_target_day
from billing.payouts.file_answers import read_answer
from billing.payouts.file_bank_accounts import read_bank_accounts
from billing.payouts.file_payouts import pain_001, payout_csv
from billing.payouts.payouts import SEPA, PayoutBatch
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import MinimumOf, PostgresPayouts
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_payees import no_payee, unknown_payees
from jobs.commands.billing.payout_batches import batch_of
from jobs.commands.flags import day_of
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import PAYOUT_DEBTOR_BIC, PAYOUT_DEBTOR_IBAN, PAYOUT_DEBTOR_NAME
from jobs.wiring.billing_settings import (
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_currency,
    billing_connector,
    currency_of,
    show,
)

LEFT_SHOWN = 50
DEBTOR_UNSET = f"{PAYOUT_DEBTOR_NAME.name} and {PAYOUT_DEBTOR_IBAN.name} are not set"
_SETTING_OF = {"holder_name": PAYOUT_DEBTOR_NAME, "iban": PAYOUT_DEBTOR_IBAN, "bic": PAYOUT_DEBTOR_BIC}


def add_actions(actions: Actions) -> None:
    """Declare the actions on payouts."""
    accounts = add_action(actions, "bank-accounts", import_accounts, "import payees' bank accounts")
    accounts.add_argument("--file", type=Path, required=True, metavar="CSV", help="payee_id,holder_name,iban,bic")
    add_actor(accounts, "who imports them")
    create = add_action(actions, "payout-create", create_batch, "instruct what is owed in a currency, as one batch")
    add_currency(create)
    create.add_argument("--execution-on", required=True, metavar="DAY", help="the day the bank shall pay")
    create.add_argument("--preview", action="store_true", help="show what would be paid and store nothing")
    add_actor(create, "who instructs it")
    write = add_action(actions, "payout-file", write_file, "write a batch's file for the bank, the same every time")
    write.add_argument("--batch", required=True, metavar="ID")
    write.add_argument("--format", choices=("pain.001", "csv"), default="pain.001")
    write.add_argument("--out", type=Path, required=True, metavar="FILE", help="readable by its owner only")
    add_actor(write, "who writes it")
    taken = add_action(actions, "payout-import", import_acknowledgements, "import what the bank says (pain.002 or CSV)")
    taken.add_argument("--file", type=Path, required=True, metavar="FILE")
    add_actor(taken, "who imports it")
    reconcile = add_action(actions, "payout-reconcile", reconcile_payouts, "hold every payment against the ledger")
    reconcile.add_argument("--batch", metavar="ID", help="default: all")


def import_accounts(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Store the accounts that are new or changed."""
    accounts = read_bank_accounts(arguments.file)
    connect = billing_connector(environ)
    lines = {account.payee_id: line for line, account in accounts.items()}
    if unknown := unknown_payees(connect, lines):
        raise FileRefusedError(
            [f"{arguments.file}, line {lines[each[0]]}, column payee_id: {no_payee(*each)}" for each in unknown.items()]
        )
    new = PostgresPayouts(connect).import_accounts(list(accounts.values()), actor_of(arguments))
    document = {"account_count": len(accounts), "new_count": new}
    waits = "; each waits for a second person: `billing proposals`" if new else ""
    show(arguments, document, lambda: f"{len(accounts)} accounts read, {new} new or changed{waits}")
    return ExitCode.OK


def create_batch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Make a batch of everything that can be paid, and says who is left and why."""
    execution_on, currency = _execution_day(arguments.execution_on), currency_of(arguments)
    debtor = _debtor(environ) if currency == SEPA else None
    check = partial(pain_001, debtor=debtor) if debtor else None
    connect = billing_connector(environ)
    payouts, minimum_of = PostgresPayouts(connect), _minimum_of(PostgresCatalogueStore(connect), execution_on)
    if arguments.preview:
        items, left = payouts.preview(currency, execution_on, minimum_of, check=check)
    else:
        items, left = payouts.create_batch(currency, execution_on, minimum_of, actor_of(arguments), check=check)
    total_micros = sum(item.amount_micros for item in items)
    batch_id = items[0].batch_id if items else None
    notes = _notes(currency, execution_on, debtor) if items else []
    document = {
        "batch_id": batch_id,
        "preview": arguments.preview,
        "item_count": len(items),
        "amount_micros": total_micros,
        "currency": currency,
        "left": [{"payee_id": payee_id, "reason": reason} for payee_id, reason in left],
        "notes": notes,
    }
    done = "would be paid" if arguments.preview else "instructed"
    total = amount_text(total_micros, currency)
    head = f"batch {batch_id}: {len(items)} payments, {total} {done}" if items else "nothing to pay"
    lines = [f"left: payee {payee_id}: {reason}" for payee_id, reason in left[:LEFT_SHOWN]]
    if len(left) > LEFT_SHOWN:
        lines.append(f"left: {len(left) - LEFT_SHOWN} more payees")
    show(arguments, document, lambda: "\n".join([head, *lines, *(f"note: {note}" for note in notes)]))
    return ExitCode.OK


def _execution_day(text: str) -> date:
    day = day_of("--execution-on", text)
    if problem := execution_day_problem(day, datetime.now(UTC).date()):
        raise CommandError(f"--execution-on: {problem}", ExitCode.BAD_INPUT)
    return day


def _notes(currency: str, execution_on: date, debtor: BankAccount | None) -> list[str]:
    """Return what whoever approves a SEPA batch should know."""
    if currency != SEPA:
        return []
    notes = []
    if (open_on := next_target_day(execution_on)) != execution_on:
        notes.append(f"{execution_on} is no day of TARGET: banks execute on {open_on}")
    if debtor is None:
        notes.append(f"{DEBTOR_UNSET}: the batch can be written as csv, not as pain.001")
    return notes


def _minimum_of(catalogues: PostgresCatalogueStore, day: date) -> MinimumOf:
    """Return what says how much the contract in force pays out at least."""
    newest = catalogues.newest_contracts()

    def minimum_of(payee_id: str) -> int:
        contract = newest[1].contract_for(payee_id) if newest else None
        card = contract.card_on(day) if contract else None
        return card.minimum_payout_micros if card else 0

    return minimum_of


def write_file(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Write the file of an approved batch; it holds bank data, so that only its owner may read it."""
    batch, actor = batch_of(arguments, environ), actor_of(arguments)
    content = _content(batch, arguments.format, environ)
    place = Path(os.path.realpath(arguments.out))
    if place.exists() and not place.is_file():
        raise CommandError(f"{arguments.out} is a folder or a device; name a file", ExitCode.BAD_INPUT)
    try:
        # 1. beside its place, so that nothing is noted of a file that cannot be written
        descriptor, name = mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            # 2. noted: refused unless it is approved, and never to be voided from here on
            PostgresPayoutSteps(billing_connector(environ)).write(batch.batch_id, actor)
            # 3. to its place
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{arguments.out} cannot be written ({error.strerror})", ExitCode.BAD_INPUT) from error
    total = amount_text(batch.amount_micros, batch.currency)
    document = {"batch_id": batch.batch_id, "item_count": len(batch.items), "amount_micros": batch.amount_micros}
    show(arguments, document, lambda: f"{arguments.out}: {len(batch.items)} payments, {total}")
    return ExitCode.OK


def _content(batch: PayoutBatch, form: str, environ: Mapping[str, str]) -> bytes:
    if form == "csv":
        return payout_csv(batch)
    debtor = _debtor(environ) if batch.currency == SEPA else None
    if debtor is None:
        cause = DEBTOR_UNSET if batch.currency == SEPA else "a SEPA transfer is in EUR"
        raise CommandError(
            f"batch {batch.batch_id} in {batch.currency} cannot be written as pain.001: {cause}; use --format csv",
            ExitCode.BAD_INPUT,
        )
    return pain_001(batch, debtor)


def _debtor(environ: Mapping[str, str]) -> BankAccount | None:
    """Return the account that pays, judged as payees' accounts are; None when none of its settings is set."""
    if not any(each.is_set(environ) for each in _SETTING_OF.values()):
        return None
    name, iban = PAYOUT_DEBTOR_NAME.read(environ), PAYOUT_DEBTOR_IBAN.read(environ)
    bic = (PAYOUT_DEBTOR_BIC.read_if_set(environ) or "").strip() or None
    account = BankAccount("", name.strip(), iban.replace(" ", ""), bic)
    for column, problem in account_problems(account).items():
        raise CommandError(f"{_SETTING_OF[column].name}: {problem}", ExitCode.BAD_INPUT)
    return account


def import_acknowledgements(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Post what the bank says; exits DIFFERENCE, with nothing posted, when a line differs from the ledger."""
    answer = read_answer(arguments.file)
    try:
        counts = PostgresPayouts(billing_connector(environ)).acknowledge(answer, actor_of(arguments))
    except AcknowledgementError as error:
        raise CommandError(
            "\n  ".join(["nothing was posted: the bank and the ledger differ:", *error.differences[:200]]),
            ExitCode.DIFFERENCE,
        ) from error
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "nothing new"
    lines, waiting = len(answer.payments) + len(answer.batches), len(answer.on_their_way)
    pending = [f"{waiting} are not final (ACCP, ACSP, PDNG, …): nothing follows from them yet"] if waiting else []
    document = {"line_count": lines, "not_final_count": waiting, **counts}
    show(arguments, document, lambda: "; ".join([f"{lines} lines: {said}", *pending]))
    return ExitCode.OK


def reconcile_payouts(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Exit DIFFERENCE when a payment and its ledger entries differ, in either direction."""
    if arguments.batch:
        batch_of(arguments, environ)
    differences = PostgresPayouts(billing_connector(environ)).differences(arguments.batch)
    show(arguments, {"differences": differences}, lambda: "\n".join(differences or ["every payment is in the ledger"]))
    return ExitCode.DIFFERENCE if differences else ExitCode.OK
