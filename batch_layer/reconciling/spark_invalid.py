"""Compare the invalid traffic of each day and class that the API serves with the tally."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.lake.reason_sql import class_of
from batch_layer.lake.tables import TALLY
from batch_layer.reconciling.reconciliation import SERVED


def compared_invalid(tally: DataFrame, served: DataFrame) -> list[str]:
    """Return a sentence for each day and class whose events differ; both are of the same days and versions.

    `tally` has the rows, or the gains, of the tally; `served` has event_day, invalid_class and events.
    """
    invalid = tally.where("verdict = 'invalid_traffic'").withColumn("invalid_class", F.expr(class_of("reason")))
    sums = invalid.groupBy("event_day", "invalid_class").agg(F.sum("event_count").alias("events"))
    counted, shown = (
        {(str(row.event_day), str(row.invalid_class)): row.events for row in rows.collect()} for rows in (sums, served)
    )
    return [
        f"invalid traffic of {day}, class {name}: {TALLY} has {counted.get((day, name), 0)} events, {SERVED} has "
        f"{shown.get((day, name), 0)}"
        for day, name in sorted({*counted, *shown})
        if counted.get((day, name), 0) != shown.get((day, name), 0)
    ]
