"""Logins of their own for tests on a real PostgreSQL: what one person or process holds, and nothing more."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from faults.postgres_database import administer


@contextmanager
def person(url: str, *roles: str, name: str = "person") -> Iterator[str]:
    """Yield the URL by which a new login with these roles reaches the database of `url`; it is dropped at the end."""
    login = f"{name}_{secrets.token_hex(4)}"
    member = f" IN ROLE {', '.join(roles)}" if roles else ""
    administer(url, f"CREATE ROLE {login} LOGIN PASSWORD 'x'{member}")
    try:
        yield f"postgresql://{login}:x@{url.rpartition('@')[2]}"
    finally:
        # a session that was closed a moment ago may not have dropped its temporary objects yet
        administer(url, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '{login}'")
        administer(url, f"DROP ROLE {login}")


def second_person(url: str) -> str:
    """Return the URL by which a person who only approves reaches the database of `url`; created if missing."""
    administer(
        url,
        "DO $$ BEGIN CREATE ROLE second_person LOGIN PASSWORD 'x' IN ROLE viewledger_approver; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    )
    return f"postgresql://second_person:x@{url.rpartition('@')[2]}"


def login_of(url: str) -> str:
    """Return the login that a URL names."""
    return url.partition("://")[2].partition(":")[0]
