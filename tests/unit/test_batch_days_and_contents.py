"""Which days a run judges again, and hashes that can be added up."""

import random
from datetime import date, timedelta

from batch_layer.judging.recomputed_days import days_after, days_before, days_in_reach
from batch_layer.lake.content import Content
from batch_layer.lake.spark_errors import part_away
from ingestion.contract.unavailable import Part

FIRST = date(2026, 11, 1)


def days(*numbers: int) -> frozenset[date]:
    return frozenset(FIRST + timedelta(days=number - 1) for number in numbers)


def test_verdicts_reach_two_existing_days_to_each_side() -> None:
    assert days_in_reach(days(3, 9), days(1, 2, 3, 4, 5, 6, 12)) == days(1, 2, 3, 4, 5)


def test_context_lies_before_and_consequences_after() -> None:
    existing = days(1, 2, 3, 4, 5)
    assert days_before(days(2, 3, 5), existing) == days(1, 4)
    assert days_after(days(2, 3, 5), existing) == days(4)


def test_contents_add_up_in_any_order_and_can_be_taken_away_again() -> None:
    seed = 5
    rng = random.Random(seed)
    parts = [Content(rng.randrange(9), (rng.getrandbits(64), rng.getrandbits(64))) for _ in range(20)]
    total = sum(parts, Content())
    rng.shuffle(parts)
    assert sum(parts, Content()) == total, f"seed {seed}"
    assert total - parts[3] + parts[3] == total
    assert Content.parse(total.row_count, total.text) == total


def test_a_server_that_is_away_is_told_from_an_error_of_ours() -> None:
    assert part_away("Caused by: java.net.ConnectException: Connection refused") is Part.HDFS
    assert part_away("org.apache.kafka.common.errors.TimeoutException: Timed out") is Part.KAFKA
    assert part_away("org.postgresql.util.PSQLException: Connection refused") is Part.POSTGRES
    assert part_away("[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column cannot be resolved") is None
    assert part_away("org.apache.spark.sql.kafka010: Some data may have been lost") is None
