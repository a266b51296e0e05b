"""Check that payees exist: every payee in a flag, a file or a request is looked up here before it is used."""

from collections.abc import Iterable, Mapping

from billing.errors import UnknownNameError
from billing.postgres_session import Connect, one_transaction
from billing.terms.nearest import CANDIDATES_MAX, nearest

# A payee of any catalogue that was in force, or with a statement, is known: a former payee may still be owed something.
_UNKNOWN = """
    SELECT DISTINCT asked FROM unnest(%s::text[]) AS asked
    WHERE NOT EXISTS (SELECT 1 FROM billing.payees JOIN billing.catalogues_in_force USING (catalogue_version)
                      WHERE payee_id = asked)
      AND NOT EXISTS (SELECT 1 FROM billing.statements WHERE payee_id = asked)
    ORDER BY asked"""
_NAMED = """
    SELECT payee_id FROM billing.payees
    WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)
      AND lower(name) = lower(%s) ORDER BY payee_id LIMIT 1"""
_CANDIDATES = """
    SELECT DISTINCT payee_id FROM billing.payees
    WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogues_in_force)
      AND length(payee_id) BETWEEN %(length)s - 2 AND %(length)s + 2 LIMIT %(most)s"""
NEAREST_LOOKED_FOR = 20


def unknown_payees(connect: Connect, payee_ids: Iterable[str]) -> Mapping[str, str | None]:
    """Return the unknown payees, in order, each with the id of the payee of that name, else the most similar id.

    For the first few only.
    """
    with one_transaction(connect) as cursor:
        cursor.execute(_UNKNOWN, (list(payee_ids),))
        unknown: dict[str, str | None] = dict.fromkeys(payee_id for (payee_id,) in cursor.fetchall())
        for payee_id in list(unknown)[:NEAREST_LOOKED_FOR]:
            cursor.execute(_NAMED, (payee_id,))
            if named := cursor.fetchone():
                unknown[payee_id] = named[0]
                continue
            cursor.execute(_CANDIDATES, {"length": len(payee_id), "most": CANDIDATES_MAX})
            unknown[payee_id] = nearest(payee_id, (known for (known,) in cursor))
    return unknown


def check_payees(connect: Connect, payee_ids: Iterable[str], what: str) -> None:
    """Refuse unknown payees; `what` says where they are named.

    Raises:
        UnknownNameError: names the first of them, and the most similar known one.
    """
    for payee_id, like in unknown_payees(connect, payee_ids).items():
        raise UnknownNameError(f"{what}: {no_payee(payee_id, like)}")


def no_payee(payee_id: str, like: str | None) -> str:
    """Return the sentence for an unknown payee."""
    known = (
        "`billing catalogue import` makes payees known" if like is None else f"the nearest that is known is {like!r}"
    )
    return f"there is no payee {payee_id!r}; {known}"
