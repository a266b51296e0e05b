"""`./viewledger billing payouts | payout-approve | payout-void`: what is in a batch, and who lets it go to the bank."""

import argparse
from collections.abc import Mapping

from billing.books.states import Move
from billing.errors import UnknownNameError
from billing.money import amount_text
from billing.payouts.payouts import VOIDED, PayoutBatch
from billing.payouts.postgres_payout_steps import PostgresPayoutSteps
from billing.payouts.postgres_payouts import PostgresPayouts
from jobs.commands.billing.tables import aligned
from jobs.exit_codes import ExitCode
from jobs.wiring.billing_settings import (
    APPROVER_ROLE,
    Actions,
    actor_of,
    add_action,
    add_actor,
    add_reason,
    billing_connector,
    reason_of,
    show,
)


def add_actions(actions: Actions) -> None:
    """Declare the actions on batches that are made."""
    listing = add_action(actions, "payouts", list_payouts, "every batch and what became of it, or one batch's payments")
    listing.add_argument("--batch", metavar="ID", help="show its payments, with masked accounts")
    approve = add_action(actions, "payout-approve", approve_batch, "approve a batch, so that its file can be written")
    void = add_action(actions, "payout-void", void_batch, "void a batch before its file is written; it is owed again")
    for action, text in ((approve, "who approves it; not who made it"), (void, "who voids it")):
        action.add_argument("--batch", required=True, metavar="ID")
        add_actor(action, text)
    add_reason(approve, required=False)
    add_reason(void)


def batch_of(arguments: argparse.Namespace, environ: Mapping[str, str]) -> PayoutBatch:
    """Return the batch that --batch names, with its payments and accounts."""
    batch = PostgresPayouts(billing_connector(environ)).batch(arguments.batch)
    if batch is None:
        raise UnknownNameError(f"there is no payout batch {arguments.batch!r}; `billing payouts` lists them")
    return batch


def list_payouts(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Print every batch with its payments by state, or one batch's payments."""
    if arguments.batch:
        return _list_payments(arguments, batch_of(arguments, environ))
    found = PostgresPayouts(billing_connector(environ)).batches()
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
    show(arguments, document, lambda: aligned(header, rows, left=5) if rows else "no payout was made yet")
    return ExitCode.OK


def _list_payments(arguments: argparse.Namespace, batch: PayoutBatch) -> ExitCode:
    payments = [
        {
            "item_id": each.item_id,
            "payee_id": each.payee_id,
            "account": batch.accounts[each.payee_id].masked,
            "amount_micros": each.amount_micros,
        }
        for each in batch.items
    ]
    rows = [
        (
            each.item_id,
            each.payee_id,
            batch.accounts[each.payee_id].masked,
            amount_text(each.amount_micros, batch.currency),
        )
        for each in batch.items
    ]
    document = {
        "batch_id": batch.batch_id,
        "currency": batch.currency,
        "execution_on": batch.execution_on.isoformat(),
        "amount_micros": batch.amount_micros,
        "payments": payments,
    }
    total = f"\n\n{len(rows)} payments, {amount_text(batch.amount_micros, batch.currency)} on {batch.execution_on}"
    show(arguments, document, lambda: aligned(("payment", "payee", "account", "amount"), rows, left=3) + total)
    return ExitCode.OK


def approve_batch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Approves a batch in the role of the approver."""
    move = Move("approved", actor_of(arguments), reason_of(arguments))
    count = PostgresPayoutSteps(billing_connector(environ, APPROVER_ROLE)).approve(arguments.batch, move)
    document = {"batch_id": arguments.batch, "state": move.to_state, "payment_count": count}
    show(arguments, document, lambda: f"batch {arguments.batch} approved: {count} payments")
    return ExitCode.OK


def void_batch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ExitCode:
    """Voids a batch; what it instructed is owed again."""
    move = Move(VOIDED, actor_of(arguments), reason_of(arguments))
    count = PostgresPayoutSteps(billing_connector(environ)).void(arguments.batch, move)
    document = {"batch_id": arguments.batch, "state": move.to_state, "payment_count": count}
    show(arguments, document, lambda: f"batch {arguments.batch} voided: {count} payments are owed again")
    return ExitCode.OK
