"""Look up the value of --payee, for commands outside `billing`."""

from billing.errors import UnknownNameError
from billing.postgres_session import connector
from billing.terms.postgres_payees import check_payees
from ingestion.contract.unavailable import UnavailableError
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from serving_layer.access.postgres_reads import API_ROLE


def check_payee(payee_id: str | None) -> None:
    """Refuse an unknown payee: a key or token for it would see nothing, or later another payee's channel.

    Raises:
        CommandError: the payee is unknown, or PostgreSQL does not answer.
    """
    if payee_id is None:
        return
    try:
        url = settings.PostgresConnection.from_environ(settings.environment()).url
        check_payees(connector(url, API_ROLE), [payee_id], "--payee")
    except UnknownNameError as error:
        raise CommandError(str(error), ExitCode.BAD_INPUT) from error
    except UnavailableError as error:
        raise CommandError(f"--payee cannot be looked up: {error}", ExitCode.UNAVAILABLE) from error
