"""Let executors store a run's counts: no row of them passes through the driver."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.versions.day_changes import CellChange, DayChange, InvalidChange, ViewerChange
from batch_layer.versions.ports import StagedCounts, Staging, VideoCount

_STORED = "row_count bigint"


@dataclass(frozen=True)
class Changed:
    """What a run changed in what is served."""

    counts: DataFrame
    """The columns of `VideoCount`, each video once."""
    days: DataFrame
    """Made by `day_changes`."""
    invalid: DataFrame
    """Made by `invalid_changes`."""
    viewers: DataFrame | None
    """Made by `viewer_changes`."""


def stage(changed: Changed, *, staging: Staging, run_id: str) -> StagedCounts:
    """Store the counts of a run, in one Spark job, and return how many rows that are."""
    parts: dict[str, tuple[DataFrame | None, _Piece]] = {
        "counts": (changed.counts, _Piece(run_id, staging.store_counts, _video_count)),
        "days": (changed.days, _Piece(run_id, staging.store_days, _day_change)),
        "invalid": (changed.invalid, _Piece(run_id, staging.store_invalid, _invalid_change)),
        "viewers": (changed.viewers, _Piece(run_id, staging.store_viewers, _viewer_change)),
    }
    stored = [
        rows.mapInArrow(write, _STORED).select(F.lit(name).alias("name"), "row_count")
        for name, (rows, write) in parts.items()
        if rows is not None
    ]
    row_counts = Counter[str]()
    for task in reduce(DataFrame.union, stored).collect():
        row_counts[task.name] += task.row_count
    return StagedCounts(*(row_counts[name] for name in parts))


@dataclass(frozen=True)
class _Piece:
    """Stores one partition of the rows; a task that is tried again stores the same piece again."""

    run_id: str
    store: Callable[[str, int, Iterable[Any]], int]
    record: Callable[[dict[str, Any]], object]

    def __call__(self, chunks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        if context is None:
            raise RuntimeError("pieces are stored by tasks of Spark")
        rows = (self.record(row) for chunk in chunks for row in chunk.to_pylist())
        count = self.store(self.run_id, context.partitionId(), rows)
        yield pa.RecordBatch.from_pydict({"row_count": pa.array([count], pa.int64())})


def _video_count(row: dict[str, Any]) -> VideoCount:
    return VideoCount(**row)


def _day_change(row: dict[str, Any]) -> DayChange:
    return DayChange(**{**row, "cells": [CellChange(**cell) for cell in row["cells"]]})


def _invalid_change(row: dict[str, Any]) -> InvalidChange:
    return InvalidChange(**row)


def _viewer_change(row: dict[str, Any]) -> ViewerChange:
    return ViewerChange(**row)
