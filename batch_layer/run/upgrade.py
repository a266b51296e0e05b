"""Upgrade: publish the tables of an earlier release again, in today's layout and with the same reach."""

from batch_layer.archive.cut import Cut
from batch_layer.errors import AtWorkError, BatchError, GateFailedError, RefusedError
from batch_layer.run.publishing import publish
from batch_layer.run.run import checked, refuse_unreconciled
from batch_layer.run.run_journal import begin_run
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.run_result import JudgedSoFar, RunResult
from batch_layer.stages import Stages
from ingestion.contract.unavailable import UnavailableError


def upgrade_once(ports: RunPorts) -> RunResult:
    """Count the published version again from its raw events into today's tables, and publish that.

    The offsets stay. Every event is judged with the newest catalogue, which then is one for all days; what that changes
    is part of the new version like any change. Nothing is visible before it is published, and earlier versions stay as
    they are.

    Raises:
        RefusedError: another run is at work, or nothing is published.
        DifferenceError: the archive differs from the record, or from what was written; nothing was published.
        GateFailedError: the gate refused the branch; nothing was published.
        UnavailableError: a server went away; nothing was published, the upgrade may be repeated.
    """
    if not ports.versions.lock():
        raise AtWorkError
    former = ports.versions.current()
    if former is None:
        raise RefusedError("nothing is published yet, so there is nothing to upgrade")
    if ports.warehouse.has_layout(former):
        return RunResult("", "nothing_new", former.version)
    begun = begin_run(ports.versions, "incremental", ports.clock())
    run_id = begun.run_id
    stages = Stages(ports.progress)
    try:
        with stages.stage("record") as notes:
            notes.append(refuse_unreconciled(ports, former))
        with stages.stage("prepare"):
            ports.warehouse.repair(former, ports.versions.runs_in("gate_failed"))
            ports.versions.drop_staged()
            begun.end_crashed(ports.versions)
        decided = ports.decided_until(former)
        removals = ports.reconcile.reconciliations.removals_until(former.version)
        with stages.stage("rewrite"):
            opened = ports.warehouse.rewrite(run_id, former, decided, removals)
        with opened as derived:
            report, contents = checked(ports.warehouse, stages, derived)
            cut = Cut(former.offsets, former.offsets, former.watermarks, ("the tables have today's layout",))
            judged = JudgedSoFar(run_id, former, cut, (), former.event_contracts, contents.branch)
            judged.touched |= derived.judged.touched
            judged.report = str(report.page)
            return publish(ports, stages, judged)
    except (BatchError, UnavailableError) as error:
        state = "gate_failed" if isinstance(error, GateFailedError) else "failed"
        ports.versions.end(run_id, state, {"error": str(error), "stage_seconds": stages.in_order()})
        raise
