"""PostgreSQL logins of processes and people: each gets the roles of its own work and nothing else."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from ingestion.contract.postgres_address import PostgresAddress
from ingestion.contract.unavailable import one_line
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.address_kinds import PostgresUrl
from jobs.settings.declared.servers import (
    API_POSTGRES_URL,
    APPROVER_POSTGRES_URL,
    BILLING_POSTGRES_URL,
    KEYS_POSTGRES_URL,
    NOTICES_POSTGRES_URL,
    PIPELINE_POSTGRES_URL,
    POSTGRES_URL,
    REVIEWER_POSTGRES_URL,
    SPEED_POSTGRES_URL,
    SQL_POSTGRES_URL,
)

ROLES: Mapping[PostgresUrl, tuple[str, ...]] = {
    SQL_POSTGRES_URL: ("viewledger_analyst",),
    SPEED_POSTGRES_URL: ("viewledger_speed",),
    API_POSTGRES_URL: (
        "viewledger_api",
        "viewledger_approver",
        "viewledger_billing",
        "viewledger_importer",
        "viewledger_operator",
        "viewledger_reviewer",
    ),
    PIPELINE_POSTGRES_URL: ("viewledger_pipeline",),
    BILLING_POSTGRES_URL: ("viewledger_billing", "viewledger_auditor"),
    APPROVER_POSTGRES_URL: ("viewledger_approver",),
    REVIEWER_POSTGRES_URL: ("viewledger_reviewer",),
    NOTICES_POSTGRES_URL: ("viewledger_notices",),
    KEYS_POSTGRES_URL: ("viewledger_keys",),
}
"""Setting with the URL of a process's or person's login → the roles that the login gets."""


def make_logins(url: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Make the logins that the settings name, with the passwords in them; return their names.

    An existing login gets the password and the roles. Needs a login that may create roles. Raises
    CommandError: BAD_INPUT for a setting that names no login of its own, FAILED when PostgreSQL refuses.
    """
    return tuple(_make_login(url, environ, login, roles) for login, roles in ROLES.items() if login.is_set(environ))


def _make_login(url: str, environ: Mapping[str, str], setting: PostgresUrl, roles: Sequence[str]) -> str:
    own = PostgresAddress.of(setting.read(environ))
    login, password = own.user, own.password
    if not login or not password or login == PostgresAddress.of(url).user:
        raise CommandError(f"{setting.name} must name a login of its own with its password", ExitCode.BAD_INPUT)
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
        raise CommandError(f"the login {login} cannot be made: {one_line(error)}") from error
    return login


def in_database(environ: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the settings with every login that they name, each with the server and database of `url`."""
    place = PostgresAddress.of(url)
    own = {each.name: PostgresAddress.of(each.read(environ)) for each in ROLES if each.is_set(environ)}
    moved = {name: place.with_login_of(login).url for name, login in own.items()}
    return {**environ, POSTGRES_URL.name: url, **moved}
