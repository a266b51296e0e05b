"""`./viewledger billing bank-accounts | payout-create | -file | -import | -reconcile`: to the bank and back."""

import argparse
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from tempfile import mkstemp

from billing.errors import AcknowledgementError, FileRefusedError
from billing.money import amount_text
from billing.payouts.file_bank_accounts import read_bank_accounts
from billing.payouts.file_payouts import pain_001, payout_csv, read_acknowledgements
from billing.payouts.payouts import BankAccount, is_iban
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import MinimumOf, PostgresPayouts
from billing.terms.currency import CURRENCIES
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_payees import no_payee, unknown_payees
from jobs import settings
from jobs.billing_payout_batches import batch_of
from jobs.billing_settings import Actions, actor_of, add_action, add_actor, billing_connector, show
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

LEFT_SHOWN = 50


def add_actions(actions: Actions) -> None:
    """Declares the actions on payouts."""
    accounts = add_action(actions, "bank-accounts", import_accounts, "import payees' bank accounts")
    accounts.add_argument("--file", type=Path, required=True, metavar="CSV", help="payee_id,holder_name,iban,bic")
    add_actor(accounts, "who imports them")
    create = add_action(actions, "payout-create", create_batch, "instruct what is owed in a currency, as one batch")
    create.add_argument("--currency", required=True, metavar="CODE")
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
    """Stores the accounts that are new or changed."""
    accounts = read_bank_accounts(arguments.file)
    connect = billing_connector(environ)
    if unknown := unknown_payees(connect, (each.payee_id for each in accounts)):
        raise FileRefusedError([f"{arguments.file}, column payee_id: {no_payee(*each)}" for each in unknown.items()])
    new = PostgresPayouts(connect).import_accounts(accounts, actor_of(arguments))
    document = {"account_count": len(accounts), "new_count": new}
    show(arguments, document, lambda: f"{len(accounts)} accounts read, {new} new or changed")
    return ExitCode.OK


def create_batch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Makes a batch of everything that can be paid, and says who is left and why."""
    execution_on = _day(arguments.execution_on)
    if arguments.currency not in CURRENCIES:
        raise CommandError(f"--currency: {arguments.currency!r} is not an ISO 4217 currency", ExitCode.BAD_INPUT)
    connect = billing_connector(environ)
    payouts, minimum_of = PostgresPayouts(connect), _minimum_of(PostgresCatalogueStore(connect), execution_on)
    currency = arguments.currency
    if arguments.preview:
        items, left = payouts.preview(currency, execution_on, minimum_of)
    else:
        items, left = payouts.create_batch(currency, execution_on, minimum_of, actor_of(arguments))
    total = amount_text(sum(item.amount_micros for item in items), currency)
    batch_id = items[0].batch_id if items else None
    document = {
        "batch_id": batch_id,
        "preview": arguments.preview,
        "item_count": len(items),
        "amount_micros": sum(item.amount_micros for item in items),
        "currency": currency,
        "left": [{"payee_id": payee_id, "reason": reason} for payee_id, reason in left],
    }
    done = "would be paid" if arguments.preview else "instructed"
    head = f"batch {batch_id}: {len(items)} payments, {total} {done}" if items else "nothing to pay"
    lines = [f"left: payee {payee_id}: {reason}" for payee_id, reason in left[:LEFT_SHOWN]]
    if len(left) > LEFT_SHOWN:
        lines.append(f"left: {len(left) - LEFT_SHOWN} more payees")
    show(arguments, document, lambda: "\n".join([head, *lines]))
    return ExitCode.OK


def _minimum_of(catalogues: PostgresCatalogueStore, day: date) -> MinimumOf:
    """Return what says how much the contract in force pays out at least."""
    newest = catalogues.newest_contracts()

    def minimum_of(payee_id: str) -> int:
        contract = newest[1].contract_for(payee_id) if newest else None
        card = contract.card_on(day) if contract else None
        return card.minimum_payout_micros if card else 0

    return minimum_of


def write_file(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Writes the file of an approved batch; it holds bank data, so that only its owner may read it."""
    batch, actor = batch_of(arguments, environ), actor_of(arguments)
    content = payout_csv(batch) if arguments.format == "csv" else pain_001(batch, _debtor(environ))
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


def _debtor(environ: Mapping[str, str]) -> BankAccount:
    name, iban = (settings.required(environ, f"VIEWLEDGER_PAYOUT_DEBTOR_{each}") for each in ("NAME", "IBAN"))
    iban = iban.replace(" ", "")
    if not is_iban(iban):
        raise CommandError("VIEWLEDGER_PAYOUT_DEBTOR_IBAN is not an IBAN", ExitCode.BAD_INPUT)
    return BankAccount("", name, iban, environ.get("VIEWLEDGER_PAYOUT_DEBTOR_BIC") or None)


def import_acknowledgements(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Posts what the bank says; exits DIFFERENCE, with nothing posted, when a line differs from the ledger."""
    acknowledgements = read_acknowledgements(arguments.file)
    try:
        counts = PostgresPayouts(billing_connector(environ)).acknowledge(acknowledgements, actor_of(arguments))
    except AcknowledgementError as error:
        raise CommandError(
            "\n  ".join(["nothing was posted: the bank and the ledger differ:", *error.differences[:200]]),
            ExitCode.DIFFERENCE,
        ) from error
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "nothing new"
    show(arguments, {"line_count": len(acknowledgements), **counts}, lambda: f"{len(acknowledgements)} lines: {said}")
    return ExitCode.OK


def reconcile_payouts(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Exits DIFFERENCE when a payment and its ledger entries differ, in either direction."""
    if arguments.batch:
        batch_of(arguments, environ)
    differences = PostgresPayouts(billing_connector(environ)).differences(arguments.batch)
    show(arguments, {"differences": differences}, lambda: "\n".join(differences or ["every payment is in the ledger"]))
    return ExitCode.DIFFERENCE if differences else ExitCode.OK


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--execution-on: {text!r} is not a day; give it as 2026-12-01", ExitCode.BAD_INPUT
        ) from error
