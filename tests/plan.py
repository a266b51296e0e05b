"""How the whole suite is spread over several test processes: what has to share one, and what begins first.

A file of tests is done by one process, one test after the other. Files that share something that takes long to start
share a process. A free process takes the next part, so what takes longest begins first.
"""

from collections.abc import Mapping, Sequence

RUNS = tuple(
    f"tests/laws/test_{name}_laws.py" for name in ("batch", "attested_views", "layout_upgrade", "lake", "maintenance")
)
SPARK = tuple(
    f"tests/laws/test_{name}.py"
    for name in (
        "upgrade_laws",
        "settled_views_laws",
        "sql_is_closed",
        "sql_shares_hold",
        "expired_versions_in_sql",
        "reconcile_laws",
        "gate_sentences",
        "staging_laws",
        "catalogue_facts_laws",
        "bundle_of_real_books",
        "change_laws",
        "compaction_laws",
        "runs_release_memory",
        "spark_errors",
        "kafka_log",
        "secure_kafka_log",
        "postgres_by_java",
    )
)
DAYS = tuple(
    f"tests/laws/test_{name}_laws.py"
    for name in (
        "judged_traffic",
        "tried_traffic",
        "judged_views",
        "period_traffic",
        "group_evidence",
        "erasure",
        "day_rules",
        "period_rules",
        "receipt",
    )
)
"""Everything that needs Spark in its own process, in three parts of about the same length."""

BATCH = tuple(
    f"tests/integration/test_{name}.py"
    for name in (
        "backup",
        "batch_command",
        "log_generations",
        "reviewed_events",
        "restated_decisions",
        "sql_server",
        "sql_attacks",
    )
)
"""Batch runs in one warm Java process, and one SQL server on what they published."""

TOGETHER: Mapping[str, Sequence[str]] = {
    "runs on Spark": RUNS,
    "Spark": SPARK,
    "days on Spark": DAYS,
    "batch command": BATCH,
}

FIRST = (
    "runs on Spark",
    "Spark",
    "days on Spark",
    "batch command",
    "tests/e2e/test_demo.py",
    "tests/integration/test_resident_driver.py",
)


def path_of(test: str) -> str:
    """Return the file of a test, of which pytest gives the whole name."""
    return test.partition("::")[0]


def part_of(path: str) -> str:
    """Return the part of the suite that a file of tests belongs to: a name in TOGETHER, or else its own path."""
    return next((name for name, files in TOGETHER.items() if path in files), path)


def place_of(path: str) -> tuple[int, int]:
    """Return by what a file is put in order: its part among those that begin first, then its place in the part."""
    part = part_of(path)
    files = TOGETHER.get(part, (path,))
    return FIRST.index(part) if part in FIRST else len(FIRST), files.index(path)
