"""Payouts: to the bank and back."""

from jobs.command_line.billing.proof import PLACES
from jobs.command_line.billing.terms import WORK
from jobs.command_line.frame import Command, CommandGroup
from jobs.command_line.options import CURRENCY, JSON, actor, choice, flag, option, path, reason
from jobs.command_line.values import Day, Instant

_BATCH = option("--batch", "as `billing payouts list` shows it", required=True, metavar="ID")

BANK_ACCOUNTS = CommandGroup(
    "bank-accounts",
    "the accounts that payees are paid to",
    Command(
        "import",
        f"{WORK}.payouts:import_accounts",
        "import payees' bank accounts; new and changed ones wait for a second person",
        path("--file", "payee_id,holder_name,iban,bic", metavar="CSV", required=True),
        actor("who imports them"),
        JSON,
    ),
)
PAYOUTS = CommandGroup(
    "payouts",
    "batches of payments for the bank, and its answers",
    Command("list", f"{WORK}.payout_batches:list_batches", "list every batch with its state", JSON),
    Command("show", f"{WORK}.payout_batches:show_batch", "show a batch's payments, with masked accounts", _BATCH, JSON),
    Command(
        "create",
        f"{WORK}.payouts:create_batch",
        "instruct what is owed in a currency, as one batch",
        CURRENCY,
        option("--execution-on", "the day on which the bank pays", type=Day(), required=True),
        flag("--preview", "show what would be paid and store nothing"),
        actor("who instructs it"),
        JSON,
    ),
    Command(
        "approve",
        f"{WORK}.payout_batches:approve_batch",
        "approve a batch, so that its file can be written",
        _BATCH,
        actor("who approves it; must not be the person who made it"),
        reason(required=False),
        JSON,
    ),
    Command(
        "void",
        f"{WORK}.payout_batches:void_batch",
        "void a batch before its file is written; it is owed again",
        _BATCH,
        actor("who voids it"),
        reason(),
        JSON,
    ),
    Command(
        "file",
        f"{WORK}.payouts:write_file",
        "write a batch's file for the bank, the same every time",
        _BATCH,
        choice("--format", "of the file", ("pain.001", "csv"), default="pain.001"),
        path("--out", "the file to write; readable by its owner only", required=True),
        actor("who writes it"),
        JSON,
    ),
    Command(
        "import",
        f"{WORK}.bank_answers:import_answer",
        "import a file of the bank: its answer (pain.002, CSV) or what it booked (camt.053, camt.054)",
        path("--file", "the file of the bank", required=True),
        actor("who imports it"),
        JSON,
    ),
    Command(
        "movements",
        f"{WORK}.bank_answers:list_movements",
        "list what the bank booked on the account that pays",
        flag("--unknown", "only those in suspense that nobody has explained"),
        JSON,
    ),
    Command(
        "wait",
        f"{WORK}.restores:wait",
        "let payouts wait after PostgreSQL came back from its own log; a restore from a backup does so by itself",
        option("--since", "the last transaction that came back", type=Instant(), required=True),
        actor("who brought the books back"),
        reason(),
        JSON,
    ),
    Command(
        "release",
        f"{WORK}.restores:release",
        "let payouts go on after a restore, once the books agree with archive, checkpoints and bank",
        option("--kept", f"checkpoints kept elsewhere: {PLACES}", metavar="PLACE"),
        flag("--declare", "accept what is lost, as it is listed; the reason says what was done about it"),
        actor("who releases them; must not be the person who restored"),
        reason(),
        JSON,
    ),
    Command(
        "reconcile",
        f"{WORK}.bank_answers:reconcile_payouts",
        "compare every payment with the ledger, and with what the bank booked",
        option("--batch", "as `billing payouts list` shows it (default: all)", metavar="ID"),
        JSON,
    ),
)
