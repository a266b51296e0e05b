"""Wire the import of a catalogue into the API, if the operator turned it on.

The readers are those of `billing catalogue import`. Its connection acts in viewledger_importer,
which may add versions of the catalogue and put none in force.
"""

from collections.abc import Callable

from billing.postgres_session import connector
from billing.terms.file_catalogue import read_catalogue
from billing.terms.file_csv import SentFile
from billing.terms.imports import ImportOrder
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from ingestion.contract.requests import RequestKey
from serving_layer.money.catalogue_import import CatalogueFiles, ChangeCounts, ImportAnswer

IMPORTER_ROLE = "viewledger_importer"


class CatalogueImporter:
    """See the port `CatalogueImports`."""

    def __init__(self, url: str, pseudonymise: Callable[[str], str]) -> None:
        self._store = PostgresCatalogueStore(connector(url, IMPORTER_ROLE))
        self._pseudonymise = pseudonymise

    def import_files(self, files: CatalogueFiles, request: RequestKey) -> ImportAnswer:
        """See the port."""
        owners = None if files.owners is None else SentFile("owners", files.owners)
        catalogue = read_catalogue(
            SentFile("payees", files.payees), SentFile("videos", files.videos), owners, self._pseudonymise
        )
        order = ImportOrder(
            source=f"sent to the API by {request.caller}", actor=request.caller, removals_max=files.removals_max
        )
        imported = self._store.import_terms(order, catalogue, request=request)["catalogue"]
        # sorted, since PostgreSQL keeps the members of an answer in an order of its own
        changes = {what: ChangeCounts(*each) for what, each in sorted(imported.changes.items())}
        return ImportAnswer(
            imported.version, imported.is_new, imported.state, len(catalogue.payees), len(catalogue.videos), changes
        )
