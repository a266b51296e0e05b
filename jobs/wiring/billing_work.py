"""The context of every `billing` command: the settings of billing, and exit codes for its errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec

from billing.errors import (
    BundleRefusedError,
    ChannelRefusedError,
    CheckpointRefusedError,
    EvidenceMismatchError,
    KeyRefusedError,
    PostingConflictError,
    PreconditionsError,
    RoleRefusedError,
    SchemaMissingError,
    StateError,
    TermsError,
    UnknownNameError,
)
from ingestion.contract.requests import FileRefusedError, OpenAppealError
from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

PROBLEMS_SHOWN = 200
Flags = ParamSpec("Flags")


def billing_work(work: Callable[Concatenate[Mapping[str, str], Flags], ExitCode]) -> Callable[Flags, ExitCode]:
    """Return the work of a command with the settings of billing as its first argument."""

    @wraps(work)
    def wrapped(*args: Flags.args, **flags: Flags.kwargs) -> ExitCode:
        with errors_as_exit_codes():
            return work(settings.environment("BILLING"), *args, **flags)

    return wrapped


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Convert every expected failure to a CommandError with its exit code."""
    try:
        yield
    except FileRefusedError as error:
        raise CommandError(
            _listed("nothing was done: the files have errors", error.problems), ExitCode.BAD_INPUT
        ) from error
    except PreconditionsError as error:
        raise CommandError(
            _listed("nothing was posted: the period cannot be billed now", list(map(str, error.failures))),
            ExitCode.REFUSED,
        ) from error
    except PostingConflictError as error:
        raise CommandError(_listed("nothing was posted", error.conflicts), ExitCode.REFUSED) from error
    except (TermsError, UnknownNameError, KeyRefusedError) as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    except (StateError, OpenAppealError, CheckpointRefusedError, BundleRefusedError, ChannelRefusedError) as error:
        raise CommandError(str(error), ExitCode.REFUSED) from error
    except EvidenceMismatchError as error:
        raise CommandError(
            f"the batch version contradicts itself: {error}; run `./viewledger rebuild batch`, then the command again",
            ExitCode.DIFFERENCE,
        ) from error
    except RoleRefusedError as error:
        raise CommandError(
            f"{error}; name a login in VIEWLEDGER_POSTGRES_URL that has this role "
            "(docs/operate/billing-operations.md, Roles)",
            ExitCode.REFUSED,
        ) from error
    except SchemaMissingError as error:
        raise CommandError(f"{error}; run `./viewledger migrate`", ExitCode.UNAVAILABLE) from error
    except UnavailableError as error:
        raise CommandError(str(error), ExitCode.UNAVAILABLE) from error


def _listed(head: str, problems: Sequence[str]) -> str:
    more = [f"and {len(problems) - PROBLEMS_SHOWN} more"] if len(problems) > PROBLEMS_SHOWN else []
    return "\n  ".join([f"{head}:", *problems[:PROBLEMS_SHOWN], *more])
