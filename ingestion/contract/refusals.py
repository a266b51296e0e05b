"""The rules that PostgreSQL itself keeps: each refuses by an SQLSTATE of its own, by which programs tell them apart.

A sentence may be reworded; a code keeps its meaning, and is never used again (docs/reference/refusals.md).
"""

from enum import Enum
from typing import TypeGuard

CLASS = "VL"
"""The class of all these SQLSTATEs: PostgreSQL and the SQL standard use no class that begins with V."""


class DatabaseRule(Enum):
    """A rule, its SQLSTATE, what it demands, and what to do when it refuses."""

    PUBLISHED_APPEND_ONLY = (
        "VL001",
        "A row of what was published is never changed or removed",
        "Publish a new version; a comparison is made again by `reconcile`",
    )
    POINTER_NEXT = (
        "VL002",
        "The pointer to the published version moves one version forward",
        "Run the batch again: it publishes on top of the version that is current now",
    )
    NUMBER_NEXT = (
        "VL003",
        "Published versions, catalogues, contracts, bank accounts and restatements are numbered without a gap",
        "Repeat the command: it takes the number that is next now",
    )
    EVENT_CONTRACTS_KEPT = (
        "VL004",
        "A version keeps every boundary of the event contracts that the version before it had",
        "Publish with the program that published that version, or a newer one",
    )
    KEPT_COUNTS = (
        "VL005",
        "Counts and day changes of a version are never changed or removed; `maintain` joins those of expired versions",
        "Publish a new version; let `maintain` do what may be done",
    )
    SAME_ROWS = (
        "VL006",
        "Files of the raw events are replaced by files with the same rows, by partition and hour, less those on record "
        "as removed",
        "Run `reconcile`: a file is not as its record says, or `maintain` has written other rows",
    )
    ATTESTING_KEYS_KEPT = (
        "VL007",
        "A version keeps every attestation key that the version before it had",
        "Publish with the program that published that version, or a newer one",
    )
    REMOVALS_WITH_THEIR_VERSION = (
        "VL008",
        "What a version removes from the raw events is recorded with it, by partition and hour, before its files",
        "Remove raw events by `maintain` or `forget` alone",
    )
    KEPT_VIEWERS = "VL009", "Changes of viewers stay, but for `forget` and `maintain`", "Let these do what may be done"
    KEY_ONLY_REVOKED = "VL011", "An API key can only be revoked, and only once", "Make a new key with `keys create`"
    TWO_LIVE_KEYS = (
        "VL012",
        "An owner has at most two live API keys",
        "Revoke one with `keys revoke`, then make the new one",
    )
    SESSION_STAYS_ENDED = (
        "VL013",
        "The record that a session was ended stays until the session would have expired",
        "Nothing: the record is removed after that time",
    )
    CATALOGUE_CLOSED = (
        "VL101",
        "Payees, videos and owners are written only in the database transaction that imports their catalogue",
        "Import a new catalogue with `billing catalogue import`",
    )
    SHARES_WHOLE = (
        "VL102",
        "The shares of a video add up to 1,000,000 parts per million on every day of a catalogue",
        "Correct the owners file and import it again",
    )
    NEWEST_IMPORT = (
        "VL103",
        "Only the newest import of a catalogue, contract or bank account comes into force",
        "Import again what should come into force; `billing proposals list` lists what waits",
    )
    TERMS_IN_FORCE = (
        "VL104",
        "A run bills by a catalogue and a contract that were in force",
        "Let a second person approve them with `billing proposals approve`",
    )
    ACCOUNT_IN_FORCE = (
        "VL105",
        "A payment goes to a bank account that is in force",
        "Let a second person approve the account with `billing proposals approve`",
    )
    LIMITS_BY_ANOTHER = "VL106", "A login that may bill does not set approval limits", "Use a login that may not bill"
    POLICY_TO_COME = (
        "VL107",
        "A policy is proposed and put in force before its first day begins, which is after that of the one before it",
        "Propose it for a later day",
    )
    POLICY_COVERED = (
        "VL108",
        "A policy is covered by a signed checkpoint before it comes into force",
        "Approve it after the next `billing proof checkpoint`, of which each day has one",
    )
    POLICY_USABLE = (
        "VL109",
        "A policy of traffic has the values that the rules of the day know, and none that contradict each other",
        "Propose it with `traffic policy propose`",
    )
    CHECKPOINT_READABLE = "VL110", "A checkpoint follows the one before it", "Make it with `billing proof checkpoint`"
    POLICY_READABLE = "VL111", "A policy is what programs write, for a day within a year", "Propose it by a command"
    ALLOWED_USABLE = "VL112", "An allow-list has entries that rules know", "Propose it by `traffic policy propose`"
    ANOTHER_LOGIN = "VL201", "The login that made something does not approve it", "Approve with another login"
    ANOTHER_PERSON = (
        "VL202",
        "The person who made something does not approve it",
        "Let someone else approve it, under their own name",
    )
    ROLE_OF_STEP = "VL203", "A step is taken in a role that may take it", "Use a login that has the role and acts in it"
    SUBJECT_EXISTS = (
        "VL204",
        "A step is about a statement, hold, appeal, payout batch or payment that exists",
        "Check the id; `billing statements list`, `holds list`, `appeals list` and `payouts list` show them",
    )
    STEP_FOLLOWS = (
        "VL205",
        "A step begins in the state in which the one before it ended",
        "Look at the newest state and decide again: another process was faster",
    )
    LIMIT_OF_RUN = (
        "VL206",
        "A run approves only its own new statements, and only below its approval limit",
        "Let someone else approve the statement with `billing statements approve`",
    )
    PAYMENT_FOLLOWS_BATCH = (
        "VL207",
        "A payment is answered after its batch was written, and voided together with its batch",
        "Write the file of the batch first, or void the whole batch",
    )
    FIRST_STEP = (
        "VL208",
        "A hold, appeal, payout batch or payment is stored together with its first step",
        "Write both in one database transaction",
    )
    BATCH_VOIDED_WHOLE = (
        "VL209",
        "A payout batch is voided together with all its payments",
        "Void them in one database transaction, as `billing payouts void` does",
    )
    SUPERSEDED_IS_REPLACED = (
        "VL210",
        "A superseded statement is replaced by another one",
        "Pay nothing with `billing statements void`, or restate the period",
    )
    STEP_IS_POSTED = (
        "VL211",
        "A step that moves money is stored together with its transaction",
        "Post the transaction in the same database transaction",
    )
    ONE_OPEN_APPEAL = (
        "VL212",
        "A statement has at most one open appeal",
        "Decide the open appeal, or wait until it is decided",
    )
    OWN_TRAFFIC = (
        "VL213",
        "Nobody decides on the traffic of a payee of their own",
        "Let someone else decide with `traffic decide`",
    )
    ONE_OPEN_TRAFFIC_APPEAL = (
        "VL214",
        "A payee has at most one open appeal about the traffic of a day and class",
        "Answer it, or wait until it is answered",
    )
    BILLING_APPEND_ONLY = (
        "VL301",
        "A row of the books is never changed or removed",
        "Post a correcting transaction, or restate the period",
    )
    READ_COMMITTED = (
        "VL302",
        "The ledger is written in READ COMMITTED database transactions",
        "Set the isolation level to READ COMMITTED",
    )
    PERIODS_APART = (
        "VL303",
        "Two billed periods share no day, unless they are the same period",
        "Bill a period that shares no day with a billed one",
    )
    PERIOD_OVER = "VL304", "A billed period ends at most 62 days after today (UTC)", "Bill the period when it is over"
    PERIOD_OF_RUN = (
        "VL305",
        "A statement has the period and the currency of its run",
        "Calculate it by a run of that period and currency",
    )
    STATEMENT_ID = (
        "VL306",
        "The id and the predecessor of a statement follow from its payee, period and number",
        "Derive the id as docs/concepts/proof.md says",
    )
    STATEMENT_CLOSED = (
        "VL307",
        "Lines are written only in the database transaction that calculates their statement",
        "Restate the period; a later statement replaces this one",
    )
    LINES_WITHIN_PERIOD = (
        "VL308",
        "The lines of a statement are for days of its period",
        "Cut the ownership of the line to the period",
    )
    LINE_COUNT = "VL309", "A statement declares how many lines it has", "Store the statement again with all its lines"
    LINE_AMOUNT = (
        "VL310",
        "The amount of a line follows from its quantity, rate and share and the remainder before it",
        "Rate the statement again",
    )
    REMAINDER_CARRIED = (
        "VL311",
        "A statement declares the remainder that its lines carry over",
        "Rate the statement again",
    )
    LINES_ARE_SUMS = "VL312", "The lines of a statement come to over cap + tax + payable", "Rate the statement again"
    SHARE_PAID_ONCE = (
        "VL313",
        "Posted statements pay no more than the whole of a video on any day",
        "Post the statement that gains a share together with the one that loses it",
    )
    REMAINDER_CHAIN = (
        "VL401",
        "A transaction starts with the remainder that the payee's transaction before it carried out",
        "Calculate the statement again: another posting was faster",
    )
    TRANSACTION_CLOSED = (
        "VL402",
        "Entries are written only in the database transaction that posts their transaction",
        "Post a correcting transaction",
    )
    ENTRY_COUNT = "VL403", "A transaction declares how many entries it has", "Post the transaction with all its entries"
    SUMS_TO_ZERO = "VL404", "The entries of a transaction sum to zero", "Correct the entries"
    POSTED_AS_CAUSED = (
        "VL405",
        "A transaction has a cause (a step of a statement, hold or payment) and says exactly what follows from it",
        "Take the step; it posts its transaction",
    )
    ONE_STATEMENT_IN_FORCE = (
        "VL406",
        "A payee has exactly one posted statement in force for a billed period",
        "Post the reversal of the old statement together with the new one",
    )
    PAYOUT_IS_OWED = (
        "VL407",
        "A payout pays no more than the payee is owed and not on hold",
        "Make a payout batch of what is owed now",
    )
    VOIDED_HOLD_IS_OWED = (
        "VL408",
        "A voided hold takes no more than the payee is still owed",
        "Release the hold; make a new one of what is still owed",
    )
    HOLD_IS_OWED = "VL409", "A hold keeps back no more than the payee is owed and not on hold", "Make a smaller hold"
    PAYMENT_IS_POSTED = (
        "VL410",
        "A payment is stored together with its transaction",
        "Post the transaction in the same database transaction",
    )
    BATCH_CLOSED = (
        "VL411",
        "Payments are written only in the database transaction that makes their batch",
        "Make a new payout batch of what is still owed",
    )
    EXECUTION_DAY = (
        "VL412",
        "A payout batch is executed between today (UTC) and 366 days from today",
        "Choose a day in that range",
    )
    BANK_ENTRY = (
        "VL413",
        "What the bank booked is in the ledger, and settles or returns a payment of exactly that amount",
        "Import the bank's statement with `billing payouts import`",
    )
    PAYOUTS_WAIT = (
        "VL414",
        "No payout batch is made, approved or written after a restore from a backup, until a second person releases it",
        "Do what docs/operate/backup.md says, then `billing payouts release`",
    )
    RESTORE_COMPARED = (
        "VL415",
        "Payouts are released when `reconcile` has compared everything since the restore and no difference is open",
        "Run `reconcile`",
    )

    def __init__(self, sqlstate: str, demands: str, remedy: str) -> None:
        self.sqlstate = sqlstate
        self.demands = demands
        self.remedy = remedy


def is_refusal(sqlstate: str | None) -> TypeGuard[str]:
    """Whether an SQLSTATE is that of a rule, one of a newer schema included."""
    return sqlstate is not None and sqlstate.startswith(CLASS)
