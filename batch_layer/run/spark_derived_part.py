"""A part of a run: the derived tables follow the events that changed."""

from dataclasses import replace

from batch_layer.judging.spark_aggregates import changed_cells, rejected_events
from batch_layer.judging.spark_unique_viewers import changed_viewers
from batch_layer.lake.aggregates import BY_VIDEO, OF_EVENTS, UNIQUE_VIEWERS
from batch_layer.lake.spark_kept import Kept
from batch_layer.lake.tables import EVENTS, REJECTED_EVENTS, VIEWERS
from batch_layer.run.ports import DerivedPiece, JudgedPiece
from batch_layer.run.spark_branch import BranchTables


def derived_part(on: BranchTables, judged: JudgedPiece) -> DerivedPiece:
    """Add the changes of a part to the derived tables of a branch; see the port `Warehouse`."""
    written, engine, days = judged.piece.branch.engine, judged.engine, judged.touched
    changes, events = dict(engine.changes), engine.changes[EVENTS]
    viewers = changed_viewers(events, on.read(EVENTS), on.read(VIEWERS), days)
    summed = [(each, events) for each in OF_EVENTS]
    if viewers is None:
        changes[UNIQUE_VIEWERS.table] = on.unchanged(UNIQUE_VIEWERS.table)
    else:
        written.viewers.append(viewers)
        summed.append((UNIQUE_VIEWERS, viewers))
    for cells in changed_cells(summed, days, on.read):
        of_days = days if cells.aggregate.is_by_day else None
        changes[cells.aggregate.table] = on.replace(cells.aggregate.table, cells.removed, cells.added, days=of_days)
        if cells.aggregate == BY_VIDEO:
            written.totals.append(cells)
    if engine.new is not None:
        rejected = Kept(rejected_events(engine.new, engine.raw), engine.rejected_count)
        changes[REJECTED_EVENTS] = on.replace(REJECTED_EVENTS, None, rejected)
    return DerivedPiece(judged, replace(engine, changes=changes))
