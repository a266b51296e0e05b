"""Keep to one key of traits: with another one a viewer's rows of one quarter would have two networks."""

from batch_layer.errors import RefusedError
from batch_layer.lake.iceberg_tables import NAMESPACE, IcebergTables
from batch_layer.lake.tables import VIEWERS
from ingestion.contract.traits import TraitsKey

PROPERTY = "viewledger.traits-key"
"""The property of the table that names the key of its rows."""


def check_traits_key(tables: IcebergTables, key: TraitsKey) -> None:
    """Note the key's fingerprint at the table of viewers, or compare it with the one that is noted.

    Raises:
        RefusedError: the rows of the table were made with another key.
    """
    table = tables.table(VIEWERS)
    noted = table.properties().get(PROPERTY)
    if noted is None:
        table.updateProperties().set(PROPERTY, key.fingerprint).commit()
    elif noted != key.fingerprint:
        raise RefusedError(
            f"VIEWLEDGER_TRAITS_KEY is another key than the one of {NAMESPACE}.{VIEWERS}: {key.fingerprint} instead of "
            f"{noted} by their fingerprints; set the key by which the rows were written"
        )
