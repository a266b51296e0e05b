"""`./viewledger billing`: its nouns, in the order in which money moves."""

from jobs.command_line.billing.payouts import BANK_ACCOUNTS, PAYOUTS
from jobs.command_line.billing.periods import BACKTEST, CONFLICTS, LATE, NIGHTLY, RESTATE, RUN
from jobs.command_line.billing.proof import EVENTS, PROOF
from jobs.command_line.billing.statements import APPEALS, HOLDS, LEDGER, NOTICES, STATEMENTS
from jobs.command_line.billing.terms import CATALOGUE, LIMITS, POLICIES, PROPOSALS
from jobs.command_line.frame import CommandGroup
from jobs.command_line.overview import OVERVIEW

BILLING = CommandGroup(
    "billing",
    OVERVIEW["billing"],
    CATALOGUE,
    POLICIES,
    PROPOSALS,
    LIMITS,
    RUN,
    BACKTEST,
    NIGHTLY,
    RESTATE,
    LATE,
    CONFLICTS,
    STATEMENTS,
    NOTICES,
    HOLDS,
    APPEALS,
    BANK_ACCOUNTS,
    PAYOUTS,
    LEDGER,
    EVENTS,
    PROOF,
)
