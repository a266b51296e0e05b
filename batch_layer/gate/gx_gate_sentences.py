"""What a failed expectation says to an operator: table, rule, how many rows, and the first of them with its place."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

SHOWN_MAX = 3
PLACES: Mapping[str, tuple[str, ...]] = {
    "events": ("event_day", "partition", "offset"),
    "traffic": ("event_day", "partition", "offset"),
    "counts": ("of_table", "video_id", "country", "verdict"),
}
"""Checked rows → the columns that name one of them."""


def result_format(name: str) -> dict[str, object]:
    """Return what great-expectations is to tell about rows that fail a rule."""
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": list(PLACES.get(name, ())),
        "partial_unexpected_count": SHOWN_MAX,
    }


def differing_sums(sums: DataFrame) -> tuple[str, ...]:
    """Return a sentence for each number that was counted in two ways and differs, the first of them by name."""
    differing = sums.where("NOT (found <=> expected)")
    first = differing.orderBy("what").limit(SHOWN_MAX).collect()
    sentences = [f"{row.what}: {row.found:,} found, {row.expected:,} expected" for row in first]
    more = differing.count() - len(first)
    return (*sentences, f"{more:,} more numbers differ") if more else tuple(sentences)


def sentence(name: str, result: Any) -> str:
    """Return the sentence for a rule that some rows break, or that could not be checked."""
    config = result.expectation_config
    rule = broken_rule(config.type, config.kwargs)
    if result.exception_info and (text := _exception(result.exception_info)):
        return f"{name}: whether {rule} could not be checked ({text})"
    count = result.result.get("unexpected_count")
    return f"{name}: {rule} in {count} rows{_first(result.result.get('partial_unexpected_index_list') or ())}"


def broken_rule(kind: str, values: Mapping[str, Any]) -> str:
    """Return what is wrong with a row that breaks the rule."""
    column, least, most = values.get("column"), _bound(values.get("min_value")), _bound(values.get("max_value"))
    match kind:
        case "expect_column_values_to_not_be_null":
            return f"{column} is missing"
        case "expect_column_values_to_be_in_set":
            return f"{column} is none of {', '.join(map(str, values['value_set']))}"
        case "expect_column_values_to_match_regex":
            return f"{column} does not match {values['regex']}"
        case "expect_column_value_lengths_to_be_between":
            return f"{column} does not have {least} to {most} characters"
        case "expect_column_values_to_be_between":
            return f"{column} is below {least}" if most is None else f"{column} is not from {least} to {most}"
    return f"{kind} does not hold"


def _bound(value: float | None) -> str | None:
    """Return a bound as it was given; great-expectations makes floats of whole numbers."""
    return None if value is None else str(int(value)) if float(value).is_integer() else str(value)


def _first(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the first rows that break a rule: the value, then the place."""
    shown = [", ".join(f"{key} {value}" for key, value in row.items() if value is not None) for row in rows[:SHOWN_MAX]]
    return f": {'; '.join(shown)}" if shown else ""


def _exception(info: Mapping[str, Any]) -> str:
    found = [info] if "exception_message" in info else [each for each in info.values() if isinstance(each, dict)]
    return "; ".join(str(each.get("exception_message")) for each in found if each.get("raised_exception"))[:200]
