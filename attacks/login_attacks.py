"""Logins of PostgreSQL that try actions beyond their roles: each try is a connection of a login of its own.

The tries are in `tries/*.sql`: a comment names each, and the statements below it are one database transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2 import errorcodes

from attacks import role_matrix
from attacks.attempts import Attack, NotTriedError
from attacks.books import ANN, BATCH, RUN, ZOE
from attacks.site import Site
from ingestion.contract.refusals import is_refusal

TRIES = Path(__file__).parent / "tries"
NAMES = {":posted_statement": ANN, ":waiting_statement": ZOE, ":batch": BATCH, ":run": RUN}
BILLING, APPROVER, API, IMPORTER, OPERATOR, ANALYST, AUDITOR, REPORTING, REVIEWER = ROLES = tuple(
    f"viewledger_{role}"
    for role in ("billing", "approver", "api", "importer", "operator", "analyst", "auditor", "reporting", "reviewer")
)
WITHOUT_BANK_DATA = (APPROVER, API, IMPORTER, OPERATOR, ANALYST, REPORTING, REVIEWER)
REFUSALS = (errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.CLASS_INTEGRITY_CONSTRAINT_VIOLATION)
"""Prefixes of the SQLSTATEs by which PostgreSQL itself refuses; our rules have their own."""


def tries(name: str) -> Mapping[str, str]:
    """Return the content of a file: name of each try → the statements of one database transaction."""
    found = {}
    for part in (TRIES / f"{name}.sql").read_text(encoding="utf-8").removeprefix("-- ").split("\n-- "):
        what, _, statements = part.partition("\n")
        for placeholder, value in NAMES.items():
            statements = statements.replace(placeholder, value)
        found[what] = statements.strip()
    return found


def gain(url: str, what: str, statements: str) -> str | None:
    """Run one database transaction up to its commit and undo it; return what it would have gained.

    Raises:
        NotTriedError: it failed for another reason than a refusal, so that nothing is proven.
    """
    with closing(psycopg2.connect(url)) as connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"{statements} SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg2.Error as error:
            code = error.pgcode or ""
            if code.startswith(REFUSALS) or is_refusal(code):
                return None
            raise NotTriedError(f"{what}: {code} {str(error).strip().splitlines()[0]}") from error
        finally:
            connection.rollback()
    return what


def _tried_by(roles: Sequence[str], name: str, sentence: str) -> Attack:
    """Return an attack in which a login of each role alone tries everything in a file."""

    def attack(site: Site) -> Iterator[str | None]:
        site.fill_books()
        for role in roles:
            with site.login(role) as url:
                for what, statements in tries(name).items():
                    yield gain(url, f"a login in {role} {what}", statements)

    attack.__doc__ = sentence
    return attack


def rights_beyond_the_declared(site: Site) -> Iterator[str | None]:
    """A login of each role tries every right on every table, sequence, function and trigger; some are not declared."""
    with role_matrix.role_logins(site.superuser_url) as urls:
        found = role_matrix.rights_there_are(urls)
    declared = role_matrix.declared_rights(role_matrix.DECLARED.read_text(encoding="utf-8"))
    yield from (None for thing in found if found[thing] == declared.get(thing))
    yield from role_matrix.differences(found, declared)


FAMILY: dict[str, Attack] = {
    "login-approves-alone": _tried_by(
        [BILLING], "approves_alone", "Who bills approves, under another name, what needs a second person."
    ),
    "login-sets-limits": _tried_by([BILLING], "sets_limits", "Who bills sets the limit below which nobody is asked."),
    "login-mints": _tried_by(
        [BILLING], "mints", "Who bills posts balanced transactions that nothing causes; they would be paid out."
    ),
    "login-back-dates": _tried_by([BILLING], "back_dates", "Who bills posts into a past that was closed."),
    "login-forges-numbers": _tried_by(
        [BILLING, IMPORTER], "forges_numbers", "Who imports uses up version numbers; nobody could import any more."
    ),
    "login-becomes-another": _tried_by(
        ROLES, "becomes_another", "A login of each role takes rights, tables and rules that are not its own."
    ),
    "login-shadows-names": _tried_by(
        ROLES, "shadows_names", "A login makes types and functions that the ledger owner's rules would use for theirs."
    ),
    "login-leaves-the-database": _tried_by(
        ROLES, "leaves_the_database", "A login of each role reads files and runs programs of the server."
    ),
    "login-reads-bank-data": _tried_by(
        WITHOUT_BANK_DATA, "reads_bank_data", "A login that has no business with it reads where payees are paid."
    ),
    "login-changes-history": _tried_by(
        ROLES, "changes_history", "A login of each role changes what is posted, published, journalled or compared."
    ),
    "login-every-right": rights_beyond_the_declared,
    "login-makes-keys": _tried_by(
        ROLES, "makes_keys", "A login of each role makes itself a key to the API, or stretches one."
    ),
}
