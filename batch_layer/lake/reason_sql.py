"""The class of invalid traffic that payees see of an event, in SQL. Pure."""

from ingestion.contract.traffic import CLASS_OF_CODE

FIRST_CODE = "try_element_at(reasons, 1).code"
_CLASSES = " ".join(f"WHEN '{code}' THEN '{its_class}'" for code, its_class in CLASS_OF_CODE.items())


def class_of(code: str) -> str:
    """Return the SQL of the class of a reason's code; null for any other code."""
    return f"CASE {code} {_CLASSES} END"


CLASS_OF_REASON = class_of(FIRST_CODE)
"""Of an event by its first reason."""
