"""Catalogues and contracts in PostgreSQL (schema `billing`), one immutable version per import."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from billing.postgres_answered_requests import RequestKey, answered, remember
from billing.postgres_session import Connect, copy_rows, one_transaction
from billing.terms.catalogue import Catalogue, Payee, Video
from billing.terms.contract_document import content_hash, contracts_from, document_of
from billing.terms.contracts import Contracts
from billing.terms.ownership import OwnerShare

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('viewledger.billing.import'))"


class PostgresCatalogueStore:
    """Implements `billing.ports.CatalogueStore`; every method is one database transaction."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def import_catalogue(
        self, catalogue: Catalogue, source: str, request: RequestKey | None = None
    ) -> tuple[int, bool]:
        """Store as the next version unless it equals the newest; an older content that comes back is a new version.

        What was answered to a `request` before is returned again.

        Raises:
            RequestKeyReusedError: something else was asked for under its key.
        """
        with one_transaction(self._connect) as cursor:
            if request is not None and (before := answered(cursor, request)) is not None:
                return before["version"], before["new"]
            version, is_new = _import(cursor, catalogue, source)
            if request is not None:
                remember(cursor, request, {"version": version, "new": is_new})
        return version, is_new

    def import_contracts(self, contracts: Contracts) -> tuple[int, bool]:
        """Store as the next version unless it equals the newest; an older content that comes back is a new version."""
        contracts_hash = content_hash(contracts)
        with one_transaction(self._connect) as cursor:
            cursor.execute(_LOCK)
            cursor.execute(
                "SELECT contract_version, content_hash FROM billing.rate_cards ORDER BY contract_version DESC LIMIT 1"
            )
            newest = cursor.fetchone()
            if newest is not None and newest[1] == contracts_hash:
                return newest[0], False
            version = newest[0] + 1 if newest is not None else 1
            cursor.execute(
                "INSERT INTO billing.rate_cards (contract_version, content_hash, document) VALUES (%s, %s, %s)",
                (version, contracts_hash, json.dumps(document_of(contracts))),
            )
        return version, True

    def newest_catalogue(self) -> tuple[int, Catalogue] | None:
        """Return the catalogue in force, None before the first import."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT max(catalogue_version) FROM billing.catalogue_versions")
            version = (cursor.fetchone() or (None,))[0]
        # A version never changes once it is there, so it need not be read in the same transaction.
        return (version, self.catalogue(version)) if version is not None else None

    def newest_payees(self) -> frozenset[str]:
        """Return the ids of the payees of the catalogue in force; none before the first import."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(
                "SELECT payee_id FROM billing.payees "
                "WHERE catalogue_version = (SELECT max(catalogue_version) FROM billing.catalogue_versions)"
            )
            return frozenset(payee_id for (payee_id,) in cursor)

    def catalogue(self, version: int) -> Catalogue:
        """Return a stored version; version 0 is the empty catalogue."""
        with one_transaction(self._connect) as cursor:
            # Sorted here and not by the server: its collation may differ from Python's order.
            cursor.execute(
                "SELECT payee_id, name, user_id, country FROM billing.payees WHERE catalogue_version = %s", (version,)
            )
            payees = tuple(sorted((Payee(*row) for row in cursor), key=lambda payee: payee.payee_id))
            cursor.execute(
                "SELECT video_id, length_seconds FROM billing.videos WHERE catalogue_version = %s", (version,)
            )
            videos = tuple(sorted((Video(*row) for row in cursor), key=lambda video: video.video_id))
            cursor.execute(
                "SELECT video_id, from_on, to_on, payee_id, share_ppm FROM billing.owners WHERE catalogue_version = %s",
                (version,),
            )
            owners = tuple(sorted(OwnerShare(*row) for row in cursor))
        return Catalogue(payees, videos, owners)

    def payee_name(self, payee_id: str) -> str | None:
        """Return a payee's name in the newest catalogue that has one."""
        return self.payee_names([payee_id]).get(payee_id)

    def payee_names(self, payee_ids: Sequence[str]) -> dict[str, str]:
        """Return the names of payees, each in the newest catalogue that has one; who has none is left out."""
        with one_transaction(self._connect) as cursor:
            cursor.execute(
                "SELECT DISTINCT ON (payee_id) payee_id, name FROM billing.payees WHERE payee_id = ANY(%s) "
                "ORDER BY payee_id, catalogue_version DESC",
                (list(payee_ids),),
            )
            return dict(cursor.fetchall())

    def newest_contracts(self) -> tuple[int, Contracts] | None:
        """Return the contracts in force, None before the first import."""
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT max(contract_version) FROM billing.rate_cards")
            version = (cursor.fetchone() or (None,))[0]
        return (version, self.contracts(version)) if version is not None else None

    def contracts(self, version: int) -> Contracts:
        """Return a stored version.

        Raises:
            LookupError: there is no such version.
        """
        with one_transaction(self._connect) as cursor:
            cursor.execute("SELECT document FROM billing.rate_cards WHERE contract_version = %s", (version,))
            row = cursor.fetchone()
        if row is None:
            raise LookupError(f"there is no version {version} of the contracts")
        return contracts_from(row[0])


def _import(cursor: "Cursor", catalogue: Catalogue, source: str) -> tuple[int, bool]:
    content_hash = catalogue.content_hash()
    cursor.execute(_LOCK)
    cursor.execute(
        "SELECT catalogue_version, content_hash FROM billing.catalogue_versions ORDER BY catalogue_version DESC LIMIT 1"
    )
    newest = cursor.fetchone()
    if newest is not None and newest[1] == content_hash:
        return newest[0], False
    version = newest[0] + 1 if newest is not None else 1
    cursor.execute(
        "INSERT INTO billing.catalogue_versions (catalogue_version, content_hash, source) VALUES (%s, %s, %s)",
        (version, content_hash, source),
    )
    payees = ((version, each.payee_id, each.name, each.user_id, each.country) for each in catalogue.payees)
    copy_rows(cursor, "billing.payees", "catalogue_version, payee_id, name, user_id, country", payees)
    videos = ((version, each.video_id, each.length_seconds) for each in catalogue.videos)
    copy_rows(cursor, "billing.videos", "catalogue_version, video_id, length_seconds", videos)
    columns = "catalogue_version, video_id, from_on, to_on, payee_id, share_ppm"
    copy_rows(cursor, "billing.owners", columns, ((version, *share) for share in catalogue.owners))
    return version, True
