"""One batch run, as the sequence of its steps. Nothing of it is visible before `publish`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from batch_layer.archive.cut import Cut, take_cut
from batch_layer.errors import AtWorkError, BatchError, DifferenceError, EarlierLayoutError, GateFailedError
from batch_layer.gate.ports import GateReport
from batch_layer.judging.due_days import days_of_decisions, days_to_catch_up, due_days, due_periods
from batch_layer.judging.late_events import newly_accepted
from batch_layer.reconciling.reconcile import known_differences, reconcile_after_run
from batch_layer.reconciling.reconciliation import Reconciliation
from batch_layer.run.group_decisions import decisions_to_apply
from batch_layer.run.ports import DerivedPiece, JudgedPiece, PieceContents, Warehouse
from batch_layer.run.publishing import publish
from batch_layer.run.run_journal import BegunRun, begin_run
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.run_result import JudgedSoFar, RunResult
from batch_layer.stages import Stages
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.printable import counted
from ingestion.contract.unavailable import UnavailableError
from ingestion.contract.version import DayRules, PublishedVersion, contracts_after


def run_once(
    ports: RunPorts, topic: str, *, begin_at_oldest: bool = False, judge_period: Period | None = None
) -> RunResult:
    """Do one batch run, then reconcile the published version. `begin_at_oldest`: see `take_cut`.

    `judge_period`: judge the traffic of these days by everything that has come, though no instant of theirs is due, and
    by the rules of a period, if these have not judged them.

    Raises:
        RefusedError: another run is at work, or a precondition does not hold.
        DifferenceError: the archive differs from the record, or from the records sent; nothing was published.
        GateFailedError: the gate refused the branch; nothing was published.
        UnavailableError: a server went away; nothing was published, the run may be retried.
    """
    if not ports.versions.lock():
        raise AtWorkError
    begun = begin_run(ports.versions, "incremental", ports.clock())
    run_id = begun.run_id
    stages = ports.stages(run_id)
    try:
        cut_log = partial(take_cut, ports.log, ports.speed, topic, begin_at_oldest=begin_at_oldest)
        result = _steps(ports, cut_log, begun, stages, judge_period)
    except GateFailedError as error:
        _ended(ports, run_id, "gate_failed", stages, {"failures": list(error.failures), "report": error.report})
        raise
    except (BatchError, UnavailableError) as error:
        _ended(ports, run_id, "failed", stages, {"error": str(error)})
        raise
    result = _reconciled(ports, stages, result)
    figures = {
        "archived_events": float(result.archived_count),
        "gap_offsets": float(result.gap_count),
        "uncut_partitions": float(result.uncut_count),
        "unknown_country_events": float(result.unknown_country_count),
        "traffic_reasons_to_review": float(len(result.reasons_to_review)),
        "traffic_groups_expiring": float(result.expiring_group_count),
        "version": float(result.version or 0),
    }
    ports.metrics.record(result.state, figures, stages.seconds)
    return result


def _steps(
    ports: RunPorts,
    cut_log: Callable[[PublishedVersion | None], Cut],
    begun: BegunRun,
    stages: Stages,
    judge_period: Period | None,
) -> RunResult:
    run_id = begun.run_id
    # 1. The base is the pointer's version, if the archive still matches its record. Then the leftovers of a crashed
    # run are repaired.
    former = ports.versions.current()
    refuse_earlier_layout(ports.warehouse, former)
    with stages.stage("record") as notes:
        notes.append(refuse_unreconciled(ports, former))
    with stages.stage("prepare") as notes:
        repaired = ports.warehouse.repair(former, ports.versions.runs_in("gate_failed"))
        ports.versions.drop_staged()
        begun.end_crashed(ports.versions)
        notes.append(f"base is version {former.version}" if former else "nothing is published yet")
        notes.extend([f"main repaired in {', '.join(repaired)}"] if repaired else [])
    # 2. The cut defines the reach of this run.
    with stages.stage("cut") as notes:
        cut = cut_log(former)
        ranges = cut.end.ranges_since(cut.start)
        notes.append(
            f"{counted(sum(each.end - each.start for each in ranges), 'offset')} in {counted(len(ranges), 'partition')}"
        )
        notes.extend(cut.notes)
        # 3. People's decisions until now are an input like the log, pinned here and by the version.
        before = ports.decided_until(former)
        accepted = newly_accepted(ports.decisions.accepted(), before.accepted, cut.end)
        notes.extend([f"{counted(len(accepted), 'late event')} accepted"] if accepted else [])
        decisions, expiry = decisions_to_apply(ports, former, before)
        notes.extend([f"{counted(expiry.expired_count, 'group')} of traffic expired"] if expiry.expired_count else [])
        notes.extend([f"{counted(len(decisions), 'group')} of traffic decided"] if decisions else [])
    is_recatalogued = former is not None and ports.warehouse.has_newer_catalogue(former)
    are_keys_revoked = former is not None and ports.warehouse.has_newly_revoked_keys(former)
    # Days alone start a run, too: the log is settled past an instant of theirs.
    due = _due(ports, former.day_rules if former else {}, cut, judge_period)
    periods = _due_periods(ports, former.day_rules if former else {}, cut, judge_period)
    is_to_count = bool(ranges or accepted or is_recatalogued)
    if not (is_to_count or are_keys_revoked or decisions or due or periods):
        ports.versions.end(run_id, "nothing_new", {"notes": list(cut.notes)})
        result = RunResult(run_id, "nothing_new", former.version if former else None, uncut_count=cut.uncut_count)
        return replace(result, expiring_group_count=expiry.soon_count, stage_seconds=stages.seconds)
    # 4. Everything is written to the run's own branch, in parts of bounded size.
    contracts = contracts_after(former, cut.end)
    with ports.warehouse.open_branch(run_id, former) as branch:
        judged = JudgedSoFar(run_id, former, cut, accepted, contracts, branch, decisions)
        parts = list(cut.parts(ports.part_offsets)) if is_to_count else []
        for number, (start, end) in enumerate(parts, start=1):
            if len(parts) > 1:
                ports.progress("part", f"{number} of {len(parts)}")
            _add_part(ports, stages, judged, start, end, is_last=number == len(parts))
        if are_keys_revoked:
            _judge_revoked_keys(ports, stages, judged)
        _decide_traffic(ports, stages, judged)
        # 5. The day rules of traffic see everything that was archived.
        due = _due(ports, judged.branch.rules, cut, judge_period)
        _judge_traffic(ports, stages, judged, due | days_of_decisions(judged.branch.rules, judged.moved_days))
        for period in _due_periods(ports, judged.branch.rules, cut, judge_period):
            _judge_period(ports, stages, judged, period)
        return replace(publish(ports, stages, judged), expiring_group_count=expiry.soon_count)


def _add_part(
    ports: RunPorts, stages: Stages, judged: JudgedSoFar, start: OffsetVector, end: OffsetVector, *, is_last: bool
) -> None:
    warehouse = ports.warehouse
    with stages.stage("archive") as notes:
        archived = warehouse.archive(judged.branch, start, end)
        gap_count = sum(archived.archived.gaps_by_partition.values())
        notes.append(counted(archived.archived.row_count, "event"))
        notes.extend([f"{counted(gap_count, 'offset')} without a record"] if gap_count else [])
    with stages.stage("judge") as notes:
        # decisions wait for the last part: then every place is archived
        piece = warehouse.judge(archived, judged.accepted if is_last else (), judged.contracts)
        notes.append(
            f"{counted(len(piece.touched), 'day')} touched, {counted(piece.replaced_count, 'stored event')} changed"
        )
        unknown_count, catalogue_count = piece.unknown_country_count, piece.catalogue_changed_count
        notes.extend([f"{counted(unknown_count, 'event')} under ZZ, without a known country"] if unknown_count else [])
        notes.extend([f"{catalogue_count:,} of them because the catalogue changed"] if catalogue_count else [])
    _add_derived(ports, stages, judged, piece)


def _due(ports: RunPorts, rules: Mapping[date, DayRules], cut: Cut, judge_period: Period | None) -> frozenset[date]:
    """Return the days whose traffic is to be judged by everything below the cut."""
    settled_until, lateness = min(cut.watermarks), ports.allowed_lateness
    due = due_days(rules, settled_until, lateness)
    if judge_period is None:
        return due
    return due | days_to_catch_up(rules, judge_period, cut.end, settled_before=settled_until - lateness)


def _judge_traffic(ports: RunPorts, stages: Stages, judged: JudgedSoFar, days: frozenset[date]) -> None:
    if not days:
        return
    warehouse, end = ports.warehouse, judged.cut.end
    with stages.stage("traffic") as notes:
        piece = warehouse.judge_traffic(warehouse.archive(judged.branch, end, end), days, min(judged.cut.watermarks))
        notes.append(f"{counted(len(days), 'day')} judged, {counted(piece.replaced_count, 'event')} changed")
        judged.reasons_to_review += _newly_reviewed(judged.branch.rules, piece.rules, days)
        notes += [f"many more than usual, so all are for review: {each}" for each in judged.reasons_to_review]
    _add_derived(ports, stages, judged, piece, of="traffic")


def _due_periods(
    ports: RunPorts, rules: Mapping[date, DayRules], cut: Cut, judge_period: Period | None
) -> tuple[Period, ...]:
    return due_periods(rules, min(cut.watermarks), ports.allowed_lateness, judge_period)


def _judge_period(ports: RunPorts, stages: Stages, judged: JudgedSoFar, period: Period) -> None:
    warehouse, end = ports.warehouse, judged.cut.end
    with stages.stage("period") as notes:
        piece = warehouse.judge_period(warehouse.archive(judged.branch, end, end), period)
        notes.append(
            f"{period}: {counted(len(piece.findings), 'finding')}, {counted(piece.replaced_count, 'event')} changed"
        )
    judged.findings += [(period, each) for each in piece.findings]
    _add_derived(ports, stages, judged, piece, of="period")


def _judge_revoked_keys(ports: RunPorts, stages: Stages, judged: JudgedSoFar) -> None:
    warehouse, end = ports.warehouse, judged.cut.end
    with stages.stage("attestations") as notes:
        piece = warehouse.judge_revoked_keys(warehouse.archive(judged.branch, end, end), judged.contracts)
        notes.append(f"a key is not trusted from an instant on, {counted(piece.replaced_count, 'event')} changed")
    _add_derived(ports, stages, judged, piece, of="attestations")


def _decide_traffic(ports: RunPorts, stages: Stages, judged: JudgedSoFar) -> None:
    if not judged.decisions:
        return
    warehouse, end = ports.warehouse, judged.cut.end
    with stages.stage("decisions") as notes:
        piece = warehouse.decide_traffic(warehouse.archive(judged.branch, end, end), judged.decisions)
        notes.append(f"{counted(len(judged.decisions), 'group')}, {counted(piece.replaced_count, 'event')} changed")
    _add_derived(ports, stages, judged, piece, of="decisions")


def _add_derived(ports: RunPorts, stages: Stages, judged: JudgedSoFar, piece: JudgedPiece, *, of: str = "") -> None:
    with stages.stage(f"derive {of}".rstrip()):
        derived = ports.warehouse.derive(piece)
    report, contents = checked(ports.warehouse, stages, derived, of=of)
    judged.add(piece, contents, report)


def _newly_reviewed(before: Mapping[date, DayRules], now: Mapping[date, DayRules], days: frozenset[date]) -> list[str]:
    return [
        f"{day} {reason}"
        for day in sorted(days)
        if before[day].seen is None and (seen := now[day].seen) is not None
        for reason in seen.reviewed
    ]


def checked(
    warehouse: Warehouse, stages: Stages, derived: DerivedPiece, *, of: str = ""
) -> tuple[GateReport, PieceContents]:
    """Let the gate judge what a part changed, and read it back. `of` names the part beside the stages.

    Raises:
        GateFailedError: the gate refused the branch, which stays for inspection.
        DifferenceError: what was read back differs from what was sent.
    """
    # 6. The gate checks the branch; a refused one stays for inspection.
    with stages.stage(f"gate {of}".rstrip()) as notes:
        report = warehouse.check(derived)
        notes.append(
            f"{counted(report.checked_count, 'expectation')}, {len(report.failures)} failed, report {report.page}"
        )
    if report.failures:
        raise GateFailedError(report.failures, str(report.page))
    with stages.stage(f"hash {of}".rstrip()):
        contents = warehouse.contents(derived)
    if contents.differences:
        raise DifferenceError(f"nothing was published: {contents.differences[0]}")
    return report, contents


def refuse_earlier_layout(warehouse: Warehouse, version: PublishedVersion | None) -> None:
    """Raise RefusedError if the tables of a version have the layout of an earlier release."""
    if version is not None and not warehouse.has_layout(version):
        raise EarlierLayoutError(version.version)


def refuse_unreconciled(ports: RunPorts, version: PublishedVersion | None) -> str:
    """Compare the archive with its record; return a report.

    Raises:
        DifferenceError: names a file that differs from the record, or an earlier difference that is still open.
    """
    differences = known_differences(ports.reconcile.reconciliations, ports.reconcile.archive, version, keep=True)
    if differences:
        raise DifferenceError(
            f"{differences[0]}; nothing is published or billed until ./viewledger reconcile finds no difference"
        )
    if version is None:
        return "nothing is archived yet"
    return f"the archive is as version {version.version} left it"


def _reconciled(ports: RunPorts, stages: Stages, result: RunResult) -> RunResult:
    try:
        with stages.stage("reconcile") as notes:
            found = reconcile_after_run(ports.reconcile)
            notes.append(_note_of(found))
    except UnavailableError as error:
        note = f"what was published is not reconciled ({error}); the next run does it, and billing waits for it"
        ports.progress("reconcile", note)
        return replace(result, notes=(*result.notes, note))
    return replace(result, differences=found.differences if found else ())


def _note_of(found: Reconciliation | None) -> str:
    if found is None:
        return "nothing new to compare"
    compared = ", ".join(f"{count:,} {what}" for what, count in found.compared.items())
    return f"{compared} compared, {counted(len(found.differences), 'difference')}"


def _ended(ports: RunPorts, run_id: str, state: str, stages: Stages, detail: Mapping[str, Any]) -> None:
    ports.metrics.record(state, {}, stages.seconds)
    try:
        ports.versions.end(run_id, state, {**detail, "stage_seconds": stages.in_order()})
    except UnavailableError:
        ports.progress("journal", "PostgreSQL does not answer; the next run marks this one as failed")
