"""`./viewledger migrate`: bring PostgreSQL up to date by alembic, each migration once and in one transaction."""

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings import PostgresConnection, environment
from jobs.settings.declared.pipeline import TRAFFIC_RULED_FROM
from jobs.wiring.migrations import migrate, pending
from jobs.wiring.postgres_logins import make_logins


def run(*, check: bool, logins: bool) -> ExitCode:
    """Apply the pending migrations and name them; `--check` only names them and exits REFUSED if there are any."""
    if check and logins:
        raise CommandError("--check and --logins exclude each other; give one of them", ExitCode.BAD_INPUT)
    environ = environment()
    url = PostgresConnection.from_environ(environ).url
    if check:
        names = pending(url)
        print(f"pending: {', '.join(names)}" if names else "the schema is up to date")
        return ExitCode.REFUSED if names else ExitCode.OK
    names = migrate(url, traffic_ruled_from=TRAFFIC_RULED_FROM.read_if_set(environ))
    print(f"applied {', '.join(names)}" if names else "the schema is up to date")
    if logins:
        print(f"logins: {', '.join(make_logins(url, environ)) or 'no setting names one'}")
    return ExitCode.OK
