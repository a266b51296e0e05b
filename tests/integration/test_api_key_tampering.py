"""A superuser makes, changes or brings back API keys with every trigger off: what was changed is found and named."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest

from jobs.local_stack.stack import LocalStack
from tests.checkpoint_books import TODAY, Books, books_of


@pytest.fixture
def books(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with books_of(stack, tmp_path_factory.mktemp("books")) as found:
        yield found


KEY = (
    "INSERT INTO access.api_keys (key_id, owner, secret_sha256, scopes, expires_at) "
    "VALUES (repeat('{}', 16), 'o{}', repeat('0', 64), ARRAY['views:read'], '9999-01-01')"
)


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        (KEY.format("b", "b"), f"api_key {'b' * 16} is not in the journal: it was not written through"),
        ("DELETE FROM access.api_keys", f"api_key {'a' * 16} at position"),
        ("UPDATE access.api_keys SET secret_sha256 = repeat('1', 64)", "was changed"),
        ("UPDATE access.api_keys SET revoked_at = NULL", f"revoked_api_key {'a' * 16} at position"),
        ("UPDATE access.api_keys SET revoked_at = '9998-01-01'", "was changed"),
    ],
)
def test_a_key_that_was_made_changed_or_brought_back_to_life_is_found(
    books: Books, tampering: str, problem: str
) -> None:
    with closing(psycopg2.connect(books.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(KEY.format("a", "a"))
        cursor.execute("UPDATE access.api_keys SET revoked_at = now()")
    books.checkpoint(TODAY + timedelta(days=1))
    assert books.problems() == []
    books.tamper(tampering)
    assert any(problem in found for found in books.problems()), books.problems()


def test_a_key_is_revoked_once_from_now_on_and_says_who_made_it(books: Books) -> None:
    with closing(psycopg2.connect(books.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(KEY.format("a", "a"))
        cursor.execute("UPDATE access.api_keys SET revoked_at = '9999-01-01' RETURNING revoked_at <= clock_timestamp()")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT login FROM access.api_keys")
        assert cursor.fetchone() == ("viewledger",)
    with (
        closing(psycopg2.connect(books.url)) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.Error, match="can only be revoked, and only once"),
    ):
        cursor.execute("UPDATE access.api_keys SET revoked_at = NULL")
