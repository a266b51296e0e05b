"""`./viewledger migrate`: brings PostgreSQL up to date by alembic, each migration once and in one transaction."""

import argparse

from jobs.exit_codes import ExitCode
from jobs.settings import PostgresConnection, environment
from jobs.wiring.migrations import migrate, pending
from jobs.wiring.postgres_logins import ROLES, make_logins


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--check", action="store_true", help="name what is pending and change nothing")
    named = ", ".join(each.name for each in ROLES)
    logins = f"also make the logins that {named} names, each with the roles of its work alone"
    chosen.add_argument("--logins", action="store_true", help=logins)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Apply what is pending and says what; `--check` only names it and exits REFUSED while there is any."""
    environ = environment()
    url = PostgresConnection.from_environ(environ).url
    if arguments.check:
        names = pending(url)
        print(f"pending: {', '.join(names)}" if names else "the schema is up to date")
        return ExitCode.REFUSED if names else ExitCode.OK
    names = migrate(url)
    print(f"applied {', '.join(names)}" if names else "the schema is up to date")
    if arguments.logins:
        print(f"logins: {', '.join(make_logins(url, environ)) or 'no setting names one'}")
    return ExitCode.OK
