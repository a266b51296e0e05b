"""The outcome of an event as text, in SQL: what statements, bundles and answers about events show. Pure."""

from ingestion.contract.counting import Verdict
from ingestion.contract.traffic import CLASS_OF_CODE

_CODE = "try_element_at(reasons, 1).code"
_CLASSES = " ".join(f"WHEN '{code}' THEN '{its_class}'" for code, its_class in CLASS_OF_CODE.items())

OUTCOME = f"""CASE verdict
    WHEN '{Verdict.COUNTED}' THEN billability
    WHEN '{Verdict.REJECTED}' THEN concat('{Verdict.REJECTED}:', coalesce({_CODE}, 'unknown'))
    WHEN '{Verdict.INVALID_TRAFFIC}' THEN concat('{Verdict.INVALID_TRAFFIC}:', CASE {_CODE} {_CLASSES} ELSE 'other' END)
    ELSE verdict END"""
"""Of invalid traffic the class is shown, and never the rule."""
