"""PostgreSQL logins of processes and people: each gets the roles of its own work and nothing else."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

ROLES: Mapping[str, tuple[str, ...]] = {
    "VIEWLEDGER_SQL_POSTGRES_URL": ("viewledger_analyst",),
    "VIEWLEDGER_SPEED_POSTGRES_URL": ("viewledger_speed",),
    "VIEWLEDGER_API_POSTGRES_URL": (
        "viewledger_api",
        "viewledger_approver",
        "viewledger_billing",
        "viewledger_importer",
        "viewledger_operator",
    ),
    "VIEWLEDGER_PIPELINE_POSTGRES_URL": ("viewledger_pipeline",),
    "VIEWLEDGER_BILLING_POSTGRES_URL": ("viewledger_billing", "viewledger_auditor"),
    "VIEWLEDGER_APPROVER_POSTGRES_URL": ("viewledger_approver",),
    "VIEWLEDGER_KEYS_POSTGRES_URL": ("viewledger_keys",),
}
"""Setting with the URL of a process's or person's login → the roles that the login gets."""


def make_logins(url: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Make the logins that the settings name, with the passwords in them; return their names.

    One that is there keeps its name and gets the password and the roles. Needs a login that may create roles. Raises
    CommandError: BAD_INPUT for a setting that names no login of its own, FAILED when PostgreSQL refuses.
    """
    return tuple(_make_login(url, environ, name, roles) for name, roles in ROLES.items() if environ.get(name))


def _make_login(url: str, environ: Mapping[str, str], name: str, roles: Sequence[str]) -> str:
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
            for role in roles:
                cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login)))
    except psycopg2.Error as error:
        raise CommandError(f"the login {login} cannot be made: {' '.join(str(error).split())}") from error
    return login


def in_database(environ: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the settings with every login that they name, each reaching the server and database that `url` names."""
    place = url.rpartition("@")[2]
    moved = {name: f"{environ[name].rpartition('@')[0]}@{place}" for name in ROLES if environ.get(name)}
    return {**environ, settings.POSTGRES_URL: url, **moved}
