"""The outcome of an event as text, in SQL: what statements, bundles and answers about events show. Pure."""

from batch_layer.lake.reason_sql import CLASS_OF_REASON, FIRST_CODE
from ingestion.contract.counting import Verdict

OUTCOME = f"""CASE verdict
    WHEN '{Verdict.COUNTED}' THEN billability
    WHEN '{Verdict.REJECTED}' THEN concat('{Verdict.REJECTED}:', coalesce({FIRST_CODE}, 'unknown'))
    WHEN '{Verdict.INVALID_TRAFFIC}' THEN concat('{Verdict.INVALID_TRAFFIC}:', coalesce({CLASS_OF_REASON}, 'other'))
    ELSE verdict END"""
"""Of invalid traffic the class is shown, and never the rule."""
