"""`./viewledger billing`: from files and settled views to statements, the ledger and payouts; one module per group."""

import argparse
from collections.abc import Sequence

from billing.errors import (
    EvidenceMismatchError,
    FileRefusedError,
    PostingConflictError,
    PreconditionsError,
    RoleRefusedError,
    SchemaMissingError,
    StateError,
    TermsError,
    UnknownNameError,
)
from ingestion.contract.unavailable import Part, UnavailableError
from jobs import settings
from jobs.commands.billing import backtest as billing_backtest
from jobs.commands.billing import catalogue_import as billing_import
from jobs.commands.billing import conflicts as billing_conflicts
from jobs.commands.billing import events as billing_events
from jobs.commands.billing import export as billing_export
from jobs.commands.billing import holds as billing_holds
from jobs.commands.billing import late as billing_late
from jobs.commands.billing import limits as billing_limits
from jobs.commands.billing import nightly as billing_nightly
from jobs.commands.billing import payout_batches as billing_payout_batches
from jobs.commands.billing import payouts as billing_payouts
from jobs.commands.billing import proof as billing_proof
from jobs.commands.billing import proposals as billing_proposals
from jobs.commands.billing import run as billing_run
from jobs.commands.billing import statements as billing_statements
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

PROBLEMS_SHOWN = 200
GROUPS = (
    billing_import,
    billing_proposals,
    billing_backtest,
    billing_run,
    billing_nightly,
    billing_statements,
    billing_limits,
    billing_payouts,
    billing_payout_batches,
    billing_holds,
    billing_late,
    billing_conflicts,
    billing_proof,
    billing_export,
    billing_events,
)
"""Modules that declare actions, in the order of the help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for group in GROUPS:
        group.add_actions(actions)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run one action; every expected failure becomes a CommandError with its exit code."""
    try:
        return ExitCode(arguments.work(arguments, settings.environment("BILLING")))
    except FileRefusedError as error:
        raise CommandError(
            _listed("nothing was done: the files have errors", error.problems), ExitCode.BAD_INPUT
        ) from error
    except PreconditionsError as error:
        raise CommandError(
            _listed("nothing was posted: the period cannot be billed now", error.failures), ExitCode.REFUSED
        ) from error
    except PostingConflictError as error:
        raise CommandError(_listed("nothing was posted", error.conflicts), ExitCode.REFUSED) from error
    except (TermsError, UnknownNameError) as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    except StateError as error:
        raise CommandError(str(error), ExitCode.REFUSED) from error
    except EvidenceMismatchError as error:
        raise CommandError(
            f"the batch version contradicts itself: {error}; run `./viewledger rebuild batch`, then the command again",
            ExitCode.DIFFERENCE,
        ) from error
    except RoleRefusedError as error:
        raise CommandError(
            f"{error}; name a login in VIEWLEDGER_POSTGRES_URL that has this role (docs/billing-operations.md, Roles)",
            ExitCode.REFUSED,
        ) from error
    except SchemaMissingError as error:
        raise CommandError(f"{error}; run `./viewledger migrate`", ExitCode.UNAVAILABLE) from error
    except UnavailableError as error:
        remedy = "; check VIEWLEDGER_POSTGRES_URL and run the command again" if error.part is Part.POSTGRES else ""
        raise CommandError(f"{error}{remedy}", ExitCode.UNAVAILABLE) from error


def _listed(head: str, problems: Sequence[str]) -> str:
    more = [f"and {len(problems) - PROBLEMS_SHOWN} more"] if len(problems) > PROBLEMS_SHOWN else []
    return "\n  ".join([f"{head}:", *problems[:PROBLEMS_SHOWN], *more])
