"""The data-quality gate: great-expectations checks a run's branch before anything of it is published.

The expectations follow docs and `counting.py`: every event has one verdict, counts never exceed what they count, the
tally adds up to the archived events, and no count decreases.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import reduce
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.gate import spark_gate_sums as gate_sums
from batch_layer.gate.gx_gate_sentences import differing_sums, result_format, sentence
from batch_layer.gate.ports import GateReport
from batch_layer.gate.spark_gate_sums import Subject
from batch_layer.lake.aggregates import AGGREGATES, COMPLETION
from batch_layer.lake.spark_kept import in_tasks, kept
from batch_layer.lake.tables import EVENTS, TRAFFIC_OUTCOMES
from ingestion.contract.counting import Billability, Verdict
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.event import VIDEO_ID_LENGTH_MAX, VIDEO_ID_PATTERN, VIEW_DURATION_SECONDS_MAX

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the package is imported

import great_expectations as gx

# the package has types for few of the parts used here
gxe: Any = gx.expectations

SUMS = "sums"
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_COUNTRY = r"^[A-Z]{2}$"
_ALWAYS_THERE = (
    "partition",
    "offset",
    "appended_at",
    "event_day",
    "event_hour",
    "verdict",
    "policy_version",
)


def judge(spark: SparkSession, subject: Subject, run_id: str, folder: Path) -> GateReport:
    """Check every expectation and write `gate.json` and `index.html` with a row for each into `folder`."""
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_spark("branch")
    results, failures = {}, list[str]()
    for name, (rows, expectations) in _checks(spark, subject).items():
        chunk = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=list(expectations)))
        validation = gx.ValidationDefinition(name=name, data=chunk, suite=suite)
        context.validation_definitions.add(validation)
        results[name] = _validated(name, validation, rows.persist())
        failures += _failures(name, results[name], rows)
        rows.unpersist()
    _write_report(folder, run_id, results, failures)
    return GateReport(tuple(failures), sum(len(result.results) for result in results.values()), folder / "index.html")


def _validated(name: str, validation: Any, rows: DataFrame) -> Any:
    """Count first, in one Spark job for a whole table; look for the offending rows only if some rule fails."""
    given = {"dataframe": rows}
    result = validation.run(batch_parameters=given, result_format="BOOLEAN_ONLY")
    return result if result.success else validation.run(batch_parameters=given, result_format=result_format(name))


def _failures(name: str, result: Any, rows: DataFrame) -> Sequence[str]:
    """Return a sentence for each thing that is wrong."""
    if result.success:
        return ()
    if name == SUMS:
        return differing_sums(rows)
    return [sentence(name, each) for each in result.results if not each.success]


def _write_report(folder: Path, run_id: str, results: Mapping[str, Any], failures: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "run_id": run_id,
        "success": not failures,
        "failures": list(failures),
        "results": {name: result.to_json_dict() for name, result in results.items()},
    }
    (folder / "gate.json").write_text(json.dumps(report, indent=1, default=str), encoding="utf-8")
    (folder / "index.html").write_text(_page(run_id, results, failures), encoding="utf-8")


def _checks(spark: SparkSession, subject: Subject) -> dict[str, tuple[DataFrame, Sequence[Any]]]:
    # one column instead of a pair: one Spark job checks it
    sums = kept(gate_sums.sums(spark, subject)).rows.withColumn("is_as_expected", F.expr("found <=> expected"))
    traffic = {"traffic": (subject.added(TRAFFIC_OUTCOMES), _of_traffic())} if subject.has(TRAFFIC_OUTCOMES) else {}
    return {
        "events": (_with_rules(subject.added(EVENTS)), _of_events()),
        **traffic,
        "counts": (_all_counts(subject), _of_counts()),
        SUMS: (sums, [gxe.ExpectColumnValuesToBeInSet(column="is_as_expected", value_set=[True])]),
    }


def _with_rules(events: DataFrame) -> DataFrame:
    """Add the rules between columns as columns, so that all rules of all events are checked in one pass.

    Columns that only concern well-formed events are emptied for rejected ones; empty values are skipped.
    """
    is_rejected = F.col("verdict") == "rejected"
    needs_reason = is_rejected | (F.col("verdict") == "invalid_traffic")
    trusted = F.col("verdict").isin("counted", "duplicate", "conflict", "invalid_traffic")
    filed = F.when(trusted, F.col("happened_at")).otherwise(F.col("appended_at"))
    required = ("event_id", "id_hash", "video_id", "happened_at", "view_duration", "revenue_eligible")
    missing = sum((F.col(name).isNull().cast("int") for name in required), start=F.lit(0))
    return events.select(
        *_ALWAYS_THERE,
        *["video_id", "view_duration", "billability", "country", "quartile"],
        F.when(~is_rejected, F.col("event_id")).alias("event_id"),
        F.when(~is_rejected, missing).alias("missing_fields"),
        F.when(needs_reason, F.coalesce(F.size("reasons"), F.lit(0))).alias("reason_count"),
        ((F.col("verdict") != "counted") | F.col("reasons").isNull()).alias("has_no_reason_if_counted"),
        ((F.date_trunc("hour", filed) == F.col("event_hour")) & (filed.cast("date") == F.col("event_day"))).alias(
            "is_filed_right"
        ),
        ((F.col("verdict") == "counted") == F.col("billability").isNotNull()).alias("has_billability_if_counted"),
        ((F.col("verdict") == "counted") | F.col("quartile").isNull()).alias("has_no_quartile_unless_counted"),
    )


def _of_events() -> list[Any]:
    return [
        *[gxe.ExpectColumnValuesToNotBeNull(column=name) for name in _ALWAYS_THERE],
        gxe.ExpectColumnValuesToBeInSet(column="verdict", value_set=[each.value for each in Verdict]),
        gxe.ExpectColumnValuesToBeInSet(column="billability", value_set=[each.value for each in Billability]),
        gxe.ExpectColumnValuesToBeInSet(column="has_billability_if_counted", value_set=[True]),
        gxe.ExpectColumnValuesToBeInSet(column="has_no_reason_if_counted", value_set=[True]),
        gxe.ExpectColumnValuesToBeInSet(column="has_no_quartile_unless_counted", value_set=[True]),
        gxe.ExpectColumnValuesToBeBetween(column="quartile", min_value=0, max_value=4),
        gxe.ExpectColumnValuesToBeInSet(column="is_filed_right", value_set=[True]),
        gxe.ExpectColumnValuesToBeInSet(column="missing_fields", value_set=[0]),
        gxe.ExpectColumnValuesToBeBetween(column="reason_count", min_value=1),
        gxe.ExpectColumnValuesToMatchRegex(column="event_id", regex=_UUID),
        gxe.ExpectColumnValuesToMatchRegex(column="video_id", regex=VIDEO_ID_PATTERN),
        gxe.ExpectColumnValueLengthsToBeBetween(column="video_id", min_value=1, max_value=VIDEO_ID_LENGTH_MAX),
        gxe.ExpectColumnValuesToBeBetween(column="view_duration", min_value=0, max_value=VIEW_DURATION_SECONDS_MAX),
        gxe.ExpectColumnValuesToMatchRegex(column="country", regex=_COUNTRY),
    ]


def _of_traffic() -> list[Any]:
    return [
        *[gxe.ExpectColumnValuesToNotBeNull(column=name) for name in ("event_day", "outcome", "reason", "points")],
        gxe.ExpectColumnValuesToBeInSet(column="outcome", value_set=[each.value for each in TrafficOutcome]),
        gxe.ExpectColumnValuesToBeBetween(column="points", min_value=1),
    ]


def _all_counts(subject: Subject) -> DataFrame:
    """Return the rows of all aggregates, which obey the same rules; `views` is the number of events of a row.

    What must not exceed another number is there as the rest that is left of it: a pair would take two more Spark jobs.
    """
    found = None
    for each in AGGREGATES:
        events, *others = each.measures
        missing = sum((F.col(name).isNull().cast("int") for name in each.columns), start=F.lit(0))
        billable = F.col("billable_views") if others else F.lit(0)
        seconds = F.col("watched_seconds") if others else F.lit(0)
        reached = [F.col(name) for name in (events, *COMPLETION)] if others else []
        is_fewer = [further <= less for less, further in pairwise(reached)]
        country = F.col("country") if "country" in each.keys else F.lit(None).cast("string")
        verdict = F.col("verdict") if "verdict" in each.keys else F.lit(None).cast("string")
        video_id = F.col("video_id") if "video_id" in each.keys else F.lit(None).cast("string")
        rows = subject.added(each.table).select(
            F.lit(each.table).alias("of_table"),
            missing.alias("missing_fields"),
            F.col(events).alias("views"),
            billable.cast("bigint").alias("billable_views"),
            seconds.cast("bigint").alias("watched_seconds"),
            (F.col(events) - billable).alias("views_not_billable"),
            (F.col(events) * VIEW_DURATION_SECONDS_MAX - seconds).alias("seconds_below_maximum"),
            reduce(Column.__and__, is_fewer, F.lit(True)).alias("is_completion_right"),
            country.alias("country"),
            verdict.alias("verdict"),
            video_id.alias("video_id"),
        )
        found = rows if found is None else found.unionAll(rows)
    return in_tasks(cast(DataFrame, found), subject.row_count)


def _of_counts() -> list[Any]:
    return [
        gxe.ExpectColumnValuesToBeInSet(column="missing_fields", value_set=[0]),
        gxe.ExpectColumnValuesToMatchRegex(column="video_id", regex=VIDEO_ID_PATTERN),
        gxe.ExpectColumnValuesToBeBetween(column="views", min_value=1),
        gxe.ExpectColumnValuesToBeBetween(column="billable_views", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(column="views_not_billable", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(column="watched_seconds", min_value=0),
        gxe.ExpectColumnValuesToBeBetween(column="seconds_below_maximum", min_value=0),
        gxe.ExpectColumnValuesToBeInSet(column="is_completion_right", value_set=[True]),
        gxe.ExpectColumnValuesToMatchRegex(column="country", regex=_COUNTRY),
        gxe.ExpectColumnValuesToBeInSet(column="verdict", value_set=[each.value for each in Verdict]),
    ]


def _page(run_id: str, results: Mapping[str, Any], failures: Sequence[str]) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{escape(_what(each))}</td><td>{'held' if each.success else 'FAILED'}</td></tr>"
        for name, result in results.items()
        for each in result.results
    )
    # failures name days, places on the log and values of columns, none of which is about a person
    listed = "".join(f"<li>{escape(text)}</li>" for text in failures)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Gate of run {run_id}</title>"
        "<style>body{font:16px sans-serif;margin:2rem}td,th{padding:.3rem 1rem;text-align:left}</style>"
        f"<h1>Gate of run {run_id}: {'failed' if failures else 'passed'}</h1><ul>{listed}</ul>"
        f"<table><tr><th>rows</th><th>expectation</th><th>result</th></tr>{rows}</table></html>\n"
    )


def _what(result: Any) -> str:
    config = result.expectation_config
    shown = ", ".join(f"{key}={value}" for key, value in config.kwargs.items() if key != "batch_id")
    return f"{config.type} ({shown})"
