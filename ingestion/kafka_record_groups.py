"""Append many records to a KafkaProducer's buffers at once.

`KafkaProducer.send` spends more time around a record (locks, a future, metadata look-ups) than on writing it. Here the
records of one partition are written in one tight loop and share their batch's future; sequence numbers, checksums,
sending, retries and expiry stay the library's. It reaches into the library's accumulator, whose version
requirements.lock pins: `supports` checks that the parts exist, and a test compares the log with `send`'s.
"""

import functools
import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import TopicPartition

from ingestion.intake import AdmittedEvent
from ingestion.ports import RequestTrace

_MAGIC = 2
TRACEPARENT = "traceparent"
"""The name of the header of a traced message. Headers do not belong to a message's value: nothing that counts, hashes,
archives or signs messages reads them."""
TRACEPARENT_BYTES = 55
_NO_HEADERS = b"\x00"
_NO_ATTRIBUTES = b"\x00"
_ACCUMULATOR_PARTS = ("_tp_lock", "_batches", "_incomplete", "_appends_in_progress", "_closed")
_RECORDS_PARTS = ("_builder", "_next_offset", "_closed")
_BUILDER_PARTS = ("_buffer", "_first_timestamp", "_max_timestamp", "_num_records", "_last_offset")


def supports(producer: KafkaProducer) -> bool:
    """Return whether this version of the library has the parts that `RecordGroups` uses."""
    accumulator = getattr(producer, "_accumulator", None)
    records = MemoryRecordsBuilder(_MAGIC, 0, 1024)
    return (
        all(hasattr(accumulator, name) for name in _ACCUMULATOR_PARTS)
        and all(hasattr(records, name) for name in _RECORDS_PARTS)
        and all(hasattr(records._builder, name) for name in _BUILDER_PARTS)
        and hasattr(getattr(producer, "_sender", None), "wakeup")
    )


class RecordGroups:
    """Appends groups of records to the producer's open batches. Thread-safe as the producer is."""

    def __init__(self, producer: KafkaProducer, topic: str) -> None:
        self._accumulator = producer._accumulator
        self._wake_sender = producer._sender.wakeup
        self._compression = producer.config["compression_attrs"]
        self._batch_bytes = producer.config["batch_size"]
        self._topic = topic

    def append(self, groups: dict[int, list[AdmittedEvent]], trace: RequestTrace | None = None) -> list[Any]:
        """Append every partition's records in order; return the futures of all batches that hold them.

        The records of a trace get its header, and it learns where each group is stored.

        A future succeeds with (base offset, append time, failures), where failures is None or a function that gives the
        error of a record; see `failure_of`.
        """
        futures: list[Any] = []
        began_batch = False
        self._accumulator._appends_in_progress.increment()
        try:
            for partition, events in groups.items():
                began_batch |= self._append_group(TopicPartition(self._topic, partition), events, futures, trace)
        finally:
            self._accumulator._appends_in_progress.decrement()
        if began_batch:  # of a batch that was open already, the sender knows
            self._wake_sender()
        return futures

    def _append_group(
        self, partition: TopicPartition, events: list[AdmittedEvent], futures: list[Any], trace: RequestTrace | None
    ) -> bool:
        """Append the records of one partition; return whether a batch was begun."""
        accumulator, written, began_batch = self._accumulator, 0, False
        headers = _NO_HEADERS if trace is None else one_header(TRACEPARENT, trace.traceparent)
        with accumulator._tp_lock(partition):
            if accumulator._closed:
                raise KafkaError("the producer is closed")
            batches = accumulator._batches[partition]
            # The sender closes a batch under this lock before it sends it, so an open one is safe to write to.
            if batches and not batches[-1].records._closed:
                written = write_records(batches[-1].records, events, self._batch_bytes, headers)
                if written:
                    futures.append(batches[-1].produce_future)
                    _tell(trace, batches[-1], written)
            while written < len(events):
                batch = ProducerBatch(partition, MemoryRecordsBuilder(_MAGIC, self._compression, self._batch_bytes))
                count = write_records(batch.records, events[written:], self._batch_bytes, headers)
                written += count
                batches.append(batch)
                accumulator._incomplete.add(batch)
                futures.append(batch.produce_future)
                _tell(trace, batch, count)
                began_batch = True
        return began_batch


def _tell(trace: RequestTrace | None, batch: ProducerBatch, count: int) -> None:
    """Tell a trace the places of the batch's newest records, once the broker has given them."""
    if trace is None:
        return
    first = batch.records._next_offset - count

    def stored(result: tuple[int, int, Any]) -> None:
        if failure_of(result) is None:
            trace.stored(batch.topic_partition.partition, result[0] + first, count)

    batch.produce_future.add_callback(stored)


def failure_of(result: tuple[int, int, Any]) -> Exception | None:
    """Return why a batch failed, from the result of its future."""
    failures = result[2]
    return None if failures is None else failures(0)


def write_records(
    records: MemoryRecordsBuilder, events: Sequence[AdmittedEvent], batch_bytes: int, headers: bytes = _NO_HEADERS
) -> int:
    """Write as many of the events as fit into the open batch (at least one into an empty one); return their number.

    All get the same headers, in the form of a record.

    The form of a record is that of KIP-98: length, attributes, timestamp delta, offset delta, key, value, headers.
    """
    builder = records._builder
    now_ms = int(time.time() * 1000)
    if builder._first_timestamp is None:
        builder._first_timestamp = builder._max_timestamp = now_ms
    head = _NO_ATTRIBUTES + varint(now_ms - builder._first_timestamp)
    room = batch_bytes - len(builder._buffer)
    offset = first = records._next_offset
    parts: list[bytes] = []
    for event in events:
        key, value = event.key, event.value
        body = b"".join((head, varint(offset), varint(len(key)), key, varint(len(value)), value, headers))
        length = varint(len(body))
        room -= len(length) + len(body)
        if room < 0 and offset:
            break
        parts.append(length)
        parts.append(body)
        offset += 1
    builder._buffer += b"".join(parts)
    builder._max_timestamp = max(builder._max_timestamp, now_ms)
    builder._num_records = records._next_offset = offset
    builder._last_offset = max(offset - 1, 0)
    return int(offset - first)


def one_header(name: str, value: str) -> bytes:
    """Return one header in the form of a record: their number, then the name and the value with their lengths."""
    parts = (name.encode(), value.encode())
    return varint(1) + b"".join(varint(len(part)) + part for part in parts)


@functools.lru_cache(maxsize=1 << 17)
def varint(value: int) -> bytes:
    """Return a number as a zigzag varint, the way Kafka records write lengths and deltas."""
    rest = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(0x80 | (rest & 0x7F))
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
