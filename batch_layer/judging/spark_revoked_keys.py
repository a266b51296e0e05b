"""Find the stored events for which no key vouches any more, since one was revoked from an instant that has passed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.judging.spark_billability import policy_columns
from batch_layer.judging.spark_cap import CAPPED, CapRules, capped
from batch_layer.judging.spark_judging import Stored, replacements, union
from batch_layer.judging.spark_traffic import is_beyond, literal
from batch_layer.lake.spark_kept import Kept, kept
from batch_layer.lake.spark_stored import PLACE, with_position
from ingestion.contract.attesting_keys import AttestationCheck
from ingestion.contract.counting import Billability, Verdict
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.policy import CountingPolicy

_PLACES = "partition int, offset bigint"


def place_at(raw: DataFrame, counted: OffsetVector, instant: datetime) -> tuple[int, ...]:
    """Return, for each partition, the first offset of the archive that was appended at an instant or later."""
    later = raw.where(F.col("appended_at") >= F.lit(instant)).groupBy("partition").agg(F.min("offset").alias("offset"))
    found = {row.partition: row.offset for row in later.collect()}
    return tuple(found.get(partition, end) for partition, end in enumerate(counted.ends))


def nowhere(_instant: datetime) -> tuple[int, ...]:
    """Return the same of a log of which nothing is archived."""
    return ()


def now_unattested(events: DataFrame, raw: DataFrame, since: OffsetVector, check: AttestationCheck) -> Kept:
    """Return the stored events from `since` on that are attested, and not by the keys in force; with their position.

    An event whose message is no longer archived stays as it is, for nobody can tell which key attested it.
    """
    beyond = is_beyond(literal(since))
    doubted = with_position(events).where(F.col("attested") & beyond)
    messages = raw.where(beyond).select(*PLACE, "value").mapInArrow(_Unattested(check), _PLACES)
    return kept(doubted.join(messages, PLACE))


def judged_again(stored: Stored, unattested: Kept, rules: CapRules) -> tuple[DataFrame, Kept]:
    """Return the events as they become, and as they are stored, with those whose cap they change.

    `unattested` are stored events with their position. Of their billability only the attestation is looked at: it comes
    after the sender's wish for money and before all others.
    """
    days: Mapping[date, CountingPolicy] = rules.policies
    own = F.when(F.col("billability").isin(*CAPPED), "billable").otherwise(F.col("billability"))
    asks = policy_columns(days)["asks_attestation"] & (F.col("billability") != Billability.NOT_ELIGIBLE.value)
    is_ended = (F.col("verdict") == Verdict.COUNTED.value) & asks
    now = {"now_verdict": F.col("verdict"), "now_reasons": F.col("reasons"), "now_quartile": F.col("quartile")}
    now["now_alone"] = F.when(is_ended, Billability.UNATTESTED.value).otherwise(own)
    changed = Kept(unattested.rows.withColumns(now), unattested.count)
    nobody = {"user_id": F.lit(None).cast("string"), "viewer_hash": F.lit(None).cast("bigint")}
    fresh = stored.events.where(F.lit(False)).withColumns(nobody)
    cap = capped(stored.events, stored.viewers, stored.days, fresh, changed, rules, touched=())
    (themselves, *of_cap), removed = replacements(changed, cap, rules.traffic)
    added = themselves.withColumn("attested", F.lit(False))
    for rows in of_cap:
        added = added.unionByName(rows)
    return added, union(removed, stored)


@dataclass(frozen=True)
class _Unattested:
    """Yields the places of messages for which no key vouches."""

    check: AttestationCheck

    def __call__(self, chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for chunk in chunks:
            rows = zip(*(chunk.column(name).to_pylist() for name in (*PLACE, "value")), strict=True)
            places = [(part, at) for part, at, value in rows if not self.check.is_attested(value or b"", part, at)]
            columns = [pa.array([place[0] for place in places], pa.int32())]
            columns.append(pa.array([place[1] for place in places], pa.int64()))
            yield pa.RecordBatch.from_arrays(columns, names=PLACE)
