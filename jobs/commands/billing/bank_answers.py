"""`./viewledger billing payouts import | movements | reconcile`: what the bank says, and what its account shows."""

from collections.abc import Mapping
from pathlib import Path

from billing.errors import AcknowledgementError
from billing.money import amount_text
from billing.payouts.account_entries import STEP_OF, UNKNOWN, AccountReport, BankEntry, mask
from billing.payouts.answers import Answer
from billing.payouts.file_answers import read_answer
from billing.payouts.payouts import EXECUTED
from billing.payouts.postgres_bank_differences import bank_differences, unbooked_count
from billing.payouts.postgres_bank_entries import PostgresBankEntries
from billing.payouts.postgres_payouts import PostgresPayouts
from ingestion.contract.printable import counted
from ingestion.contract.requests import FileRefusedError
from jobs.commands.billing.payouts import debtor_of
from jobs.commands.billing.tables import aligned
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.billing import PAYOUT_DEBTOR_IBAN
from jobs.wiring.billing_settings import billing_connector, show
from jobs.wiring.billing_work import billing_work
from jobs.wiring.payout_batches import batch_of

SHOWN = 50


@billing_work
def import_answer(environ: Mapping[str, str], *, file: Path, actor: str, as_json: bool) -> ExitCode:
    """Post what a file of the bank says; exit DIFFERENCE if it differs from the ledger."""
    answer = read_answer(file)
    try:
        if isinstance(answer, AccountReport):
            return _import_movements(environ, file, answer, actor=actor, as_json=as_json)
        return _import_answers(environ, answer, actor=actor, as_json=as_json)
    except AcknowledgementError as error:
        raise CommandError(
            "\n  ".join(["nothing was posted: the bank and the ledger differ:", *error.differences[:200]]),
            ExitCode.DIFFERENCE,
        ) from error


def _import_answers(environ: Mapping[str, str], answer: Answer, *, actor: str, as_json: bool) -> ExitCode:
    counts = PostgresPayouts(billing_connector(environ)).acknowledge(answer, actor)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "nothing new"
    lines, waiting = len(answer.payments) + len(answer.batches), len(answer.on_their_way)
    executed = [*(each.outcome for each in answer.payments), *(each.outcome for each in answer.batches)].count(EXECUTED)
    pending = [f"{waiting} are not final (ACCP, ACSP, PDNG, …): nothing follows from them yet"] if waiting else []
    if executed:
        pending.append(f"{executed} are executed (ACSC, ACCC): import the statement (camt.053) that books them")
    document = {"line_count": lines, "not_final_count": waiting, "executed_count": executed, **counts}
    show(document, lambda: "; ".join([f"{counted(lines, 'line')}: {outcomes}", *pending]), as_json=as_json)
    return ExitCode.OK


def _import_movements(
    environ: Mapping[str, str], file: Path, report: AccountReport, *, actor: str, as_json: bool
) -> ExitCode:
    debtor = debtor_of(environ)
    if debtor is None:
        raise CommandError(f"{PAYOUT_DEBTOR_IBAN.name} is not set: it names the account of {file}", ExitCode.BAD_INPUT)
    if report.iban != debtor.iban:
        raise FileRefusedError(
            [
                f"{file}: the statement is of account {mask(report.iban)}, and payouts leave {mask(debtor.iban)} "
                f"({PAYOUT_DEBTOR_IBAN.name}); import the statements of that account"
            ]
        )
    booked = PostgresBankEntries(billing_connector(environ)).book(report, actor)
    judged, counts = booked.judged, booked.counts
    unknown = [each for each in judged.new if each.purpose == UNKNOWN and each.item_id is None]
    named = {STEP_OF.get(purpose, purpose): count for purpose, count in counts.items()}
    document = {
        "movement_count": len(report.entries),
        "repeated_count": judged.repeated_count,
        "pending_count": report.pending_count,
        **named,
        "in_suspense": [_document_of(each) for each in unknown],
        "differences": judged.differences,
    }
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(named.items())) or "nothing new"
    head = f"{counted(len(report.entries), 'movement')}: {outcomes}"
    if report.pending_count:
        head += f"; {report.pending_count} are not booked yet: nothing follows from them"
    lines = [f"in suspense: {_sentence_of(each)}" for each in unknown[:SHOWN]]
    show(document, lambda: "\n".join([head, *lines, *judged.differences]), as_json=as_json)
    return ExitCode.DIFFERENCE if judged.differences else ExitCode.OK


def _document_of(each: BankEntry) -> dict[str, object]:
    return vars(each) | {"booked_on": each.booked_on.isoformat()}


def _sentence_of(each: BankEntry) -> str:
    amount = amount_text(each.amount_micros, each.currency)
    return f"{amount}, booked {each.booked_on} as {each.reference!r}: {each.reason or 'it names no payment'}"


@billing_work
def list_movements(environ: Mapping[str, str], *, unknown: bool, as_json: bool) -> ExitCode:
    """Print what the bank booked on the account that pays."""
    found = PostgresBankEntries(billing_connector(environ)).entries()
    totals = {each.named_id for each in found if each.named_id}
    if unknown:
        found = [each for each in found if each.purpose == UNKNOWN and each.entry_id not in totals]
    rows = [
        (
            each.booked_on.isoformat(),
            each.account,
            each.reference,
            each.purpose,
            each.item_id or "-",
            each.reason or "-",
            amount_text(each.amount_micros, each.currency),
        )
        for each in found
    ]
    document = {"movements": [_document_of(each) for each in found]}
    header = ("booked", "account", "reference", "purpose", "payment", "reason", "amount")
    show(document, lambda: aligned(header, rows, left=6) if rows else "there are no movements", as_json=as_json)
    return ExitCode.OK


@billing_work
def reconcile_payouts(environ: Mapping[str, str], *, batch: str | None, as_json: bool) -> ExitCode:
    """Exit DIFFERENCE if a payment and its ledger entries, or the bank's movements, differ."""
    connect = billing_connector(environ)
    if batch is not None:
        batch_of(connect, batch)
    differences = PostgresPayouts(connect).differences(batch) + bank_differences(connect, batch)
    unbooked = unbooked_count(connect, batch)
    note = [f"note: {unbooked} payments are settled by a file, and no statement of the bank shows them"]
    show(
        {"differences": differences, "unbooked_count": unbooked},
        lambda: "\n".join([*(differences or ["every payment is in the ledger"]), *(note if unbooked else [])]),
        as_json=as_json,
    )
    return ExitCode.DIFFERENCE if differences else ExitCode.OK
