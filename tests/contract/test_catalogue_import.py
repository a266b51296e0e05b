"""A catalogue's import by the API on a real PostgreSQL: the rules of `billing catalogue import`, and no more rights."""

import hashlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from psycopg2 import sql

from billing.postgres_session import connector
from billing.terms.file_catalogue import read_catalogue
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_stored_terms import problems_of_stored_terms
from ingestion.contract.requests import FileRefusedError, KeyReusedError, RequestKey
from ingestion.contract.unavailable import UnavailableError
from jobs.wiring.api_catalogue import IMPORTER_ROLE, CatalogueImporter
from serving_layer.money.catalogue_import import CatalogueFiles
from tests.billing_postgres import own_database, put_in_force

PAYEES = b"payee_id,name,user_id,country\nann,Ann,viewer-1,DE\nbob,Bob,,\n"
VIDEOS = b"video_id,payee_id,length_seconds\n-v,ann,12\nshared,,\n"
OWNERS = b"video_id,payee_id,share_ppm,from_on,to_on\nshared,ann,400000,,\nshared,bob,600000,,\n"
FILES = CatalogueFiles(PAYEES, VIDEOS, OWNERS)
THREADS = 8


def pseudonymise(user_id: str) -> str:
    return f"pseudonym-of-{user_id}"


def key(files: CatalogueFiles = FILES, name: str = "k") -> RequestKey:
    return RequestKey("fay", name, hashlib.sha256(files.digest()).hexdigest())


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with own_database(postgres_url, with_versions=False) as url:
        yield url


def test_it_imports_what_the_command_would_import_of_the_same_files(url: str, tmp_path: Path) -> None:
    answer = CatalogueImporter(url, pseudonymise).import_files(FILES, key())
    assert (answer.version, answer.new, answer.payee_count, answer.video_count) == (1, True, 2, 2)
    paths = [tmp_path / name for name in ("payees", "videos", "owners")]
    for path, content in zip(paths, (PAYEES, VIDEOS, OWNERS), strict=True):
        path.write_bytes(content)
    store = PostgresCatalogueStore(connector(url))
    found = store.newest_catalogue()
    assert found == (1, read_catalogue(*paths, pseudonymise))
    assert found[1].payee_by_id["ann"].user_id == "pseudonym-of-viewer-1"
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT source FROM billing.catalogue_versions")
        assert cursor.fetchall() == [("sent to the API by fay",)]
    connection.close()


def test_the_same_request_again_has_the_same_answer_also_after_later_versions(url: str) -> None:
    importer = CatalogueImporter(url, pseudonymise)
    first = importer.import_files(FILES, key())
    other = CatalogueFiles(PAYEES, b"video_id,payee_id\n-v,bob\n", removals_max=1)
    second = importer.import_files(other, key(other, "k-2"))
    assert (second.version, second.state) == (2, "proposed")
    assert importer.import_files(FILES, key()) == first
    put_in_force(url)
    assert importer.import_files(FILES, key(name="k-3")).version == 3
    assert importer.import_files(FILES, key(name="k-4")).new is False
    assert importer.import_files(other, key(other, "k-2")) == second
    with pytest.raises(KeyReusedError):
        importer.import_files(other, key(other))


def test_new_titles_are_a_new_version_that_moves_no_money_and_waits_for_nobody(url: str) -> None:
    importer, store = CatalogueImporter(url, pseudonymise), PostgresCatalogueStore(connector(url))
    importer.import_files(FILES, key())
    titled = replace(FILES, videos=b"video_id,payee_id,length_seconds,title\n-v,ann,12,A walk\nshared,,,\n")
    answer = importer.import_files(titled, key(titled, "k-2"))
    assert (answer.version, answer.state, answer.changes["videos"].changed) == (2, "in_force", 1)
    assert store.catalogue(1).content_hash() == store.catalogue(2).content_hash()
    assert store.video_titles(2, ["-v", "shared"]) == {"-v": "A walk"}
    assert importer.import_files(titled, key(titled, "k-3")).new is False
    assert importer.import_files(FILES, key(name="k-4")).version == 3, "without the titles it is another content"
    assert list(problems_of_stored_terms(connector(url))) == []


def test_more_may_be_gone_only_where_it_is_allowed(url: str) -> None:
    importer = CatalogueImporter(url, pseudonymise)
    importer.import_files(FILES, key())
    emptied = CatalogueFiles(b"payee_id,name\n", b"video_id,payee_id\n")
    for allowed in (0, 3):
        files = replace(emptied, removals_max=allowed)
        with pytest.raises(FileRefusedError) as caught:
            importer.import_files(files, key(files, f"k-{allowed}"))
        (problem,) = caught.value.problems
        assert problem.startswith("2 payees and 2 videos of what is in force would be gone, and")
        assert problem.endswith("allow as many (`--allow-removals 4`, by the API `?allow_removals=4`)")
    answer = importer.import_files(replace(emptied, removals_max=4), key(emptied, "k-4"))
    assert (answer.state, answer.changes["videos"].gone) == ("proposed", 2)


def test_eight_at_once_under_one_key_import_one_version(url: str) -> None:
    importer, barrier = CatalogueImporter(url, pseudonymise), Barrier(THREADS)

    def send(_: int) -> Any:
        barrier.wait()
        return importer.import_files(FILES, key())

    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(send, range(THREADS)))
    assert answers == [answers[0]] * THREADS
    assert answers[0].new is True


def test_everything_that_is_wrong_is_named_by_file_line_and_column_and_nothing_is_stored(url: str) -> None:
    wrong = CatalogueFiles(
        b"payee_id,name\nann,\nann,Ann\n", b"video_id,payee_id,length\n-v,ann,1\n", b"\xff\nvideo_id"
    )
    importer = CatalogueImporter(url, pseudonymise)
    with pytest.raises(FileRefusedError) as caught:
        importer.import_files(wrong, key(wrong))
    text = "\n".join(caught.value.problems)
    for place in ("payees, line 2, column name:", "payees, line 3, column payee_id:", "videos, line 1, column 3:",
                  "owners, line 1: not UTF-8"):  # fmt: skip
        assert place in text
    with pytest.raises(FileRefusedError):
        read_catalogue(Path("/nowhere/payees.csv"), Path("/nowhere/videos.csv"), None, pseudonymise)
    assert PostgresCatalogueStore(connector(url)).newest_catalogue() is None
    assert importer.import_files(FILES, key()).version == 1, "what was refused is not remembered under the key"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO billing.rate_cards (contract_version, content_hash, document) VALUES (1, 'x', '{}')",
        "INSERT INTO billing.transitions (subject_kind, subject_id, transition_index, from_state, to_state, actor) "
        "VALUES ('statement', 's', 0, 'open', 'calculated', 'a')",
        "INSERT INTO billing.appeals (appeal_id, payee_id, statement_id, objection) VALUES ('a', 'a', 's', 'o')",
        "SELECT user_id FROM billing.payees",
        "SELECT iban FROM billing.bank_accounts",
        "SELECT payable_micros FROM billing.statements",
        "SELECT owner FROM access.api_keys",
        "DELETE FROM billing.payees",
    ],
)
def test_the_importers_role_reaches_neither_money_nor_rates_nor_persons(url: str, statement: str) -> None:
    connection = connector(url, IMPORTER_ROLE)()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.fixture
def stranger(url: str) -> Iterator[str]:
    """The URL of a login that is a member of no role."""
    name, password = f"stranger_{secrets.token_hex(4)}", secrets.token_hex(8)
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(sql.Identifier(name)), (password,))
        parts = urlsplit(url)
        yield parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()
        cursor.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    connection.close()


def test_a_login_that_may_not_import_and_a_server_that_is_away_are_one_error(stranger: str) -> None:
    psycopg2.connect(stranger).close()
    for url in (stranger, "postgresql://nobody@127.0.0.1:9/nothing"):
        with pytest.raises(UnavailableError):
            CatalogueImporter(url, pseudonymise).import_files(FILES, key())
