"""Read from PostgreSQL which of billing's catalogues is in force."""

from batch_layer.lake.postgres_rows import read_rows


def latest_catalogue_version(url: str) -> int:
    """Return the newest catalogue version; 0 if there is none."""
    ((newest,),) = read_rows(url, "SELECT coalesce(max(catalogue_version), 0) FROM billing.catalogues_in_force")
    return int(newest)
