"""Rebuild: count everything again and compare it with the published version. Publishes nothing."""

from batch_layer.errors import AtWorkError, BatchError, DifferenceError, RefusedError
from batch_layer.run.run import refuse_earlier_layout
from batch_layer.run.run_journal import begin_run
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.run_result import RunResult
from batch_layer.stages import Stages
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError


def rebuild_once(ports: RunPorts) -> RunResult:
    """Recount the published version from its raw events, and the rules and decisions recorded with it.

    Raises:
        DifferenceError: names the first table and day that differ.
        RefusedError: another run is at work, nothing is published, or its tables have an earlier release's layout.
    """
    if not ports.versions.lock():
        raise AtWorkError
    version = ports.versions.current()
    if version is None:
        raise RefusedError("nothing is published yet, so there is nothing to compare a rebuild with")
    refuse_earlier_layout(ports.warehouse, version)
    begun = begin_run(ports.versions, "rebuild", ports.clock())
    run_id = begun.run_id
    stages = Stages(ports.progress)
    try:
        with stages.stage("prepare"):
            ports.warehouse.repair(None, ports.versions.runs_in("gate_failed"))
            begun.end_crashed(ports.versions)
        with stages.stage("rebuild") as notes:
            decided = ports.decided_until(version)
            removals = ports.reconcile.reconciliations.removals_until(version.version)
            differences = ports.warehouse.differences_of_rebuild(version, decided, removals, run_id)
            notes.append(f"version {version.version}: {counted(len(differences), 'difference')}")
        if differences:
            raise DifferenceError(f"a rebuild of version {version.version} differs: {differences[0]}")
    except (BatchError, UnavailableError) as error:
        ports.versions.end(run_id, "failed", {"error": str(error), "stage_seconds": stages.in_order()})
        raise
    ports.versions.end(run_id, "nothing_new", {"equals_version": version.version, "stage_seconds": stages.in_order()})
    return RunResult(run_id, "equal", version.version, row_counts=version.row_counts, stage_seconds=stages.seconds)
