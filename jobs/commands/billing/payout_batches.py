"""`./viewledger billing payouts list | show | approve | void`: the content and the approval of a batch."""

from collections.abc import Mapping

from billing.books.states import Move
from billing.money import amount_text
from billing.payouts.listings import PaymentFilter, RowRange
from billing.payouts.payouts import VOIDED
from billing.payouts.postgres_listed_batches import listed_batches
from billing.payouts.postgres_listings import PostgresListings
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from ingestion.contract.printable import counted
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    billing_connector,
    show,
)
from jobs.wiring.billing_work import billing_work
from jobs.wiring.payout_batches import batch_of


@billing_work
def list_batches(environ: Mapping[str, str], *, as_json: bool) -> ExitCode:
    """Print every batch with its payments by state."""
    found = listed_batches(billing_connector(environ))
    rows = [
        (
            each.batch_id,
            each.execution_on.isoformat(),
            each.batch_state,
            each.made_by,
            each.payment_state,
            str(each.payment_count),
            amount_text(each.amount_micros, each.currency),
        )
        for each in found
    ]
    document = {"batches": [vars(each) | {"execution_on": each.execution_on.isoformat()} for each in found]}
    header = ("batch", "execution", "state", "made by", "payments are", "payments", "amount")
    show(document, lambda: aligned(header, rows, left=5) if rows else "no payout was made yet", as_json=as_json)
    return ExitCode.OK


@billing_work
def show_batch(environ: Mapping[str, str], *, batch: str, as_json: bool) -> ExitCode:
    """Print one batch's payments, each with what became of it."""
    connect = billing_connector(environ)
    found = batch_of(connect, batch)
    listing = PostgresListings(connect).payments(PaymentFilter(batch_id=batch), RowRange(0, len(found.items)))
    outcomes = {each.item_id: each for each in listing.rows}
    payments = [
        {
            "item_id": each.item_id,
            "payee_id": each.payee_id,
            "account": found.accounts[each.payee_id].masked,
            "amount_micros": each.amount_micros,
            "state": outcomes[each.item_id].state,
            "reason": outcomes[each.item_id].reason,
        }
        for each in found.items
    ]
    rows = [
        (
            each.item_id,
            each.payee_id,
            found.accounts[each.payee_id].masked,
            outcomes[each.item_id].state,
            outcomes[each.item_id].reason,
            amount_text(each.amount_micros, found.currency),
        )
        for each in found.items
    ]
    document = {
        "batch_id": found.batch_id,
        "currency": found.currency,
        "execution_on": found.execution_on.isoformat(),
        "amount_micros": found.amount_micros,
        "payments": payments,
    }
    total = (
        f"\n\n{counted(len(rows), 'payment')}, {amount_text(found.amount_micros, found.currency)} on "
        f"{found.execution_on}"
    )
    header = ("payment", "payee", "account", "state", "reason", "amount")
    show(document, lambda: aligned(header, rows, left=5) + total, as_json=as_json)
    return ExitCode.OK


@billing_work
def approve_batch(environ: Mapping[str, str], *, batch: str, actor: str, reason: str, as_json: bool) -> ExitCode:
    """Approve a batch in the role of the approver."""
    move = Move("approved", actor, reason)
    count = PostgresPayoutSteps(billing_connector(environ, APPROVER_ROLE)).approve(batch, move)
    document = {"batch_id": batch, "state": move.to_state, "payment_count": count}
    show(document, lambda: f"batch {batch} approved: {counted(count, 'payment')}", as_json=as_json)
    return ExitCode.OK


@billing_work
def void_batch(environ: Mapping[str, str], *, batch: str, actor: str, reason: str, as_json: bool) -> ExitCode:
    """Void a batch; its amounts are owed again."""
    move = Move(VOIDED, actor, reason)
    count = PostgresPayoutSteps(billing_connector(environ)).void(batch, move)
    document = {"batch_id": batch, "state": move.to_state, "payment_count": count}
    show(document, lambda: f"batch {batch} voided, owed again: {counted(count, 'payment')}", as_json=as_json)
    return ExitCode.OK
