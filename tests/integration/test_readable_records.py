"""What one login writes, every program can read: neither a checkpoint nor a document ends the checks of the books."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from billing.proof.canonical import canonical_json
from billing.proof.checkpoint import Covered, Link, checkpoint_link, covered_end
from billing.proof.checkpointing import change_key
from billing.proof.ed25519_keys import create_key
from billing.proof.journal import root_of
from ingestion.contract.refusals import DatabaseRule
from jobs.local_stack.stack import LocalStack
from tests.checkpoint_books import TODAY, Books, books_of, copied
from tests.postgres_people import person

TOMORROW = TODAY + timedelta(days=1)
INSERT = "INSERT INTO billing.checkpoints (sequence, body, signature) VALUES (%s, %s, %s)"
CONTRACT = (
    "INSERT INTO billing.rate_cards (contract_version, content_hash, document) "
    "SELECT max(contract_version) + 1, 'x', %s FROM billing.rate_cards"
)
WRONG: list[dict[str, Any]] = [
    {"format": "viewledger-checkpoint/2"},
    {"sequence": 3},
    {"sequence": "2"},
    {"previous_hash": "0" * 64},
    {"public_key": "a" * 64},
    {"kind": "mine"},
    {"kind": "key_change"},
    {"day": "9999-12-31"},
    {"day": "2026-11-31"},
    {"day": TODAY.isoformat()},
    {"day": "infinity"},
    {"position_start": 1},
    {"position_end": 10**9},
    {"position_end": 0},
    {"position_end": 1.5},
    {"position_end": "9"},
    {"record_count": -1},
    {"root": "none"},
    {"cut_at": "2026-11-25T12:00:00"},
    {"cut_at": "2026-11-25T24:00:00+00:00"},
    {"cut_at": "2026-02-30T12:00:00+00:00"},
    {"remark": "one value more"},
]
"""What a forged link says in place of the true one."""


@pytest.fixture(scope="module")
def books(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with books_of(stack, tmp_path_factory.mktemp("readable")) as made:
        made.checkpoint()
        yield made


def refusal(url: str, statement: str, values: tuple[object, ...]) -> str | None:
    """Return the SQLSTATE by which PostgreSQL refused a statement of who bills, if it did; what it did is undone."""
    with person(url, "viewledger_billing") as login, closing(psycopg2.connect(login)) as connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
        except psycopg2.Error as error:
            return error.pgcode
        finally:
            connection.rollback()
    return None


def following(books: Books) -> Link:
    """Return the link that the next checkpoint would be."""
    chain, (end, cut_at) = books.journal.chain(), books.journal.close()
    start = covered_end(chain)
    covered = Covered(start, end, *root_of(books.journal.records(start, end)), cut_at)
    return checkpoint_link(chain[-1], covered, day=TOMORROW, public_key=books.key.public_key, sign=books.key.sign)


def stored(link: Link, **other: object) -> tuple[object, ...]:
    """Return the columns of a link, with other values in its body."""
    return 2, canonical_json(link.fields | other).decode(), link.signature


def test_only_a_checkpoint_that_programs_read_joins_the_chain(books: Books) -> None:
    link = following(books)
    assert refusal(books.url, INSERT, stored(link)) is None
    for wrong in WRONG:
        forged = json.dumps(link.fields | wrong, sort_keys=True, separators=(",", ":"))
        found = refusal(books.url, INSERT, (2, forged, link.signature))
        assert found == DatabaseRule.CHECKPOINT_READABLE.sqlstate, wrong
    for name in link.fields:
        without = canonical_json({key: value for key, value in link.fields.items() if key != name}).decode()
        found = refusal(books.url, INSERT, (2, without, link.signature))
        assert found == DatabaseRule.CHECKPOINT_READABLE.sqlstate, f"without {name}"
    for body in ("x", "", "{}", "[]", "null", json.dumps(link.fields), "[" * 9999 + "]" * 9999):
        found = refusal(books.url, INSERT, (2, body, link.signature))
        assert found == DatabaseRule.CHECKPOINT_READABLE.sqlstate, body[:99]
    assert books.problems() == []


def test_a_key_change_joins_the_chain_and_the_key_of_before_signs_nothing(books: Books, tmp_path: Path) -> None:
    second = create_key(tmp_path / "second.key")
    with copied(books) as changed:
        before = following(changed)
        change_key(changed.journal, changed.key, second.public_key, made_at=datetime.now(UTC))
        (row,) = [stored(before, sequence=3, previous_hash=changed.journal.chain()[-1].hash)]
        found = refusal(changed.url, INSERT, (3, *row[1:]))
        assert found == DatabaseRule.CHECKPOINT_READABLE.sqlstate
        replace(changed, key=second).checkpoint(TOMORROW)
        assert changed.problems() == []


@pytest.mark.parametrize(
    "document",
    ["[" * 3000 + "]" * 3000, '{"a":' * 18 + "1" + "}" * 18, '{"a": ' + "9" * 5000 + "}", '{"a": [-1e99]}'],
)
def test_a_document_that_would_end_its_readers_is_refused(books: Books, document: str) -> None:
    assert refusal(books.url, CONTRACT, (document,)) == "23514"


def test_documents_may_be_nested_as_deep_as_contracts_are_and_more(books: Books) -> None:
    for document in ('{"a":' * 16 + "-9223372036854775808" + "}" * 16, '{"a": 1.5, "b": [true, null, "9e999"]}'):
        assert refusal(books.url, CONTRACT, (document,)) is None
