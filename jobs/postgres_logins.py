"""PostgreSQL logins of processes that may do less than the pipeline: each gets one role and nothing else."""

from collections.abc import Mapping
from contextlib import closing
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

ROLES = {
    "VIEWLEDGER_SQL_POSTGRES_URL": "viewledger_analyst",
    "VIEWLEDGER_APPROVER_POSTGRES_URL": "viewledger_approver",
}
"""Setting with a process's URL → the role that its login gets."""


def make_logins(url: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Make the logins that the settings name, with the passwords in them; return their names.

    One that is there keeps its name and gets the password and the role. Needs a login that may create roles. Raises
    CommandError: BAD_INPUT for a setting that names no login of its own, FAILED when PostgreSQL refuses.
    """
    return tuple(_make_login(url, environ, name, role) for name, role in ROLES.items() if environ.get(name))


def _make_login(url: str, environ: Mapping[str, str], name: str, role: str) -> str:
    parts = urlsplit(settings.url(environ, name, schemes=("postgresql", "postgres")))
    login, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not login or not password or login == unquote(urlsplit(url).username or ""):
        raise CommandError(f"{name} must name a login of its own with its password", ExitCode.BAD_INPUT)
    try:
        with (
            closing(psycopg2.connect(url, connect_timeout=10)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,))
            verb = "ALTER" if cursor.fetchone() else "CREATE"
            hashed = encrypt_password(password, login, connection, "scram-sha-256")
            statement = sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(login), sql.Literal(hashed))
            cursor.execute(statement)
            cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login)))
    except psycopg2.Error as error:
        raise CommandError(f"the login {login} cannot be made: {' '.join(str(error).split())}") from error
    return login
