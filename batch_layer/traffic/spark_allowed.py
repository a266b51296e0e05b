"""The views that an allow-list is about, as rows; the same as `allowed`."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from batch_layer.traffic.allowed import Allowed, AllowedViews
from batch_layer.traffic.spark_findings import PLACE


def are_of(entry: AllowedViews) -> Column:
    """Return whether a row is one of an entry's views; null where it does not say."""
    return F.col(entry.column).isin(sorted(entry.values)) & (F.col("event_day") < F.lit(entry.until))


def without_allowed(found: DataFrame, rows: DataFrame, allowed: Allowed) -> DataFrame:
    """Return the findings that no entry exempts their event from."""
    if not allowed:
        return found
    nothing = F.array().cast("array<string>")
    reasons = (F.when(are_of(each), F.array(*map(F.lit, sorted(each.reasons)))).otherwise(nothing) for each in allowed)
    exempt = rows.select(*PLACE, F.explode(F.array_distinct(F.concat(*reasons))).alias("reason"))
    return found.join(exempt, [*PLACE, "reason"], "left_anti")


def entry_numbers(allowed: Allowed) -> Column:
    """Return which entries a row's view is of, in their order and from 0 on: `0 2`, or empty."""
    numbers = (F.when(are_of(each), F.lit(str(number))) for number, each in enumerate(allowed))
    return F.concat_ws(" ", *numbers) if allowed else F.lit("")
