"""The steps of a batch run, a rebuild and an upgrade, without Spark: their order, and what each kind of end leaves."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batch_layer.archive.cut import Cut
from batch_layer.errors import DifferenceError, GateFailedError, RefusedError
from batch_layer.run.rebuild import rebuild_once
from batch_layer.run.run import run_once
from batch_layer.run.run_ports import RunPorts
from batch_layer.run.run_result import RunResult
from batch_layer.run.spark_warehouse import SparkWarehouse
from batch_layer.run.upgrade import upgrade_once
from ingestion.contract.day_traffic import TrafficOutcome
from ingestion.contract.offsets import OffsetVector
from ingestion.contract.periods import Period
from ingestion.contract.traffic_groups import TrafficDecision, TrafficGroup
from ingestion.contract.unavailable import Part, UnavailableError
from ingestion.contract.version import DayRules, SeenTraffic
from tests.batch_fakes import TOPIC, MemoryCatalogue
from tests.fake_warehouse import DAY, FakeRun

OF_A_PART = ["archive", "judge", "derive", "check", "contents"]
OF_PUBLISHING = ["snapshots", "tally", "stage_counts", "tag", "finish"]
AWAY = UnavailableError(Part.HDFS, "HDFS is away")


class Crash(BaseException):
    """Stands for the end of the process: nothing catches it on the way."""


def run(fake: FakeRun, part_offsets: int = 10**7) -> RunResult:
    return run_once(fake.ports(part_offsets=part_offsets), TOPIC)


def upgrade(fake: FakeRun) -> RunResult:
    fake.warehouse.is_of_today = False
    return upgrade_once(fake.ports())


def rebuild(fake: FakeRun) -> RunResult:
    return rebuild_once(fake.ports())


def published(*counts: int) -> FakeRun:
    fake = FakeRun()
    fake.send(*counts)
    assert run(fake).state == "published"
    fake.warehouse.steps.clear()
    fake.warehouse.parts.clear()
    fake.warehouse.accepted.clear()
    return fake


def test_a_run_takes_its_steps_in_order_and_publishes_one_version_of_all_parts() -> None:
    fake = FakeRun()
    fake.send(7, 2)
    result = run(fake, part_offsets=4)
    assert fake.warehouse.steps == ["repair", "open_branch", *OF_A_PART * 3, *OF_PUBLISHING, "groups_under_review"]
    (version,) = fake.versions.published
    assert (result.state, result.version, result.archived_count) == ("published", 1, 9)
    assert version.offsets.ends == (7, 2)
    assert version.row_counts == {"events": 9, "raw_events": 9}
    assert fake.versions.files.keys() == {"file of part 1", "file of part 2", "file of part 3"}
    assert json.loads(json.dumps(asdict(result), default=str))["verdicts"] == {"counted": 9}
    assert result.judged_days == ("2026-11-21", "2026-11-22", "2026-11-23"), "every part's days"
    assert (result.unknown_country_count, result.report) == (4, "report-3.html")
    assert fake.warehouse.tags == {1: version.snapshots}
    assert fake.warehouse.main == 9
    assert (fake.warehouse.branches, fake.warehouse.open) == (set(), set())
    assert [line for line in fake.lines if line.startswith("part")] == ["part: 1 of 3", "part: 2 of 3", "part: 3 of 3"]
    assert fake.metrics.outcomes == ["published"]


def test_parts_cover_the_cut_in_order_and_none_is_much_longer_than_asked() -> None:
    rng = random.Random(7)
    for _ in range(500):
        starts = [rng.choice([0, 5, 1 << 40]) for _ in range(rng.choice([1, 2, 12]))]
        ends = [start + rng.choice([0, 0, 1, 2, 100, rng.randrange(5_000), 10**9]) for start in starts]
        most = rng.choice([1, 2, 7, 1_000, 10**7])
        most = max(most, (sum(ends) - sum(starts)) // 2_000)
        cut = Cut(OffsetVector(TOPIC, tuple(starts)), OffsetVector(TOPIC, tuple(ends)), ())
        parts = list(cut.parts(most))
        assert parts[0][0] == cut.start
        assert parts[-1][1] == cut.end
        assert all(before[1] == after[0] for before, after in pairwise(parts))
        for start, end in parts:
            lengths = [stop - begin for begin, stop in zip(start.ends, end.ends, strict=True)]
            assert min(lengths) >= 0
            assert sum(lengths) <= most + len(lengths), "each partition's share is rounded once"


def test_an_empty_cut_is_one_empty_part() -> None:
    here = OffsetVector(TOPIC, (3, 4))
    assert list(Cut(here, here, ()).parts(1)) == [(here, here)]


def test_accepted_late_events_wait_for_the_last_part_where_every_place_is_archived() -> None:
    fake = FakeRun()
    fake.send(6, 2)
    fake.decisions.places = {(0, 0), (0, 5), (1, 1), (1, 2)}
    result = run(fake, part_offsets=4)
    assert fake.warehouse.accepted == [(), ((0, 0), (0, 5), (1, 1))]
    assert (result.accepted_count, fake.versions.published[0].accepted_late) == (3, ((0, 0), (0, 5), (1, 1)))
    assert run(fake).state == "nothing_new", "the place that no version has yet waits"
    fake.send(0, 1)
    assert run(fake).accepted_count == 1
    assert fake.versions.accepted_until(2) == fake.decisions.places


def test_a_decision_alone_is_a_run_of_one_empty_part() -> None:
    fake = published(3, 0)
    fake.decisions.places = {(0, 2)}
    result = run(fake)
    assert (result.state, result.archived_count, result.accepted_count) == ("published", 0, 1)
    assert fake.warehouse.accepted == [((0, 2),)]
    assert fake.versions.published[1].offsets == fake.versions.published[0].offsets


GROUPS = [TrafficGroup(DAY, "many", payee, count, "0" * 32) for payee, count in (("ann", 3), ("bob", 1), ("zoe", 2))]
RELEASED, CONFIRMED, OVERTAKEN = (
    TrafficDecision(group, TrafficOutcome(outcome))
    for group, outcome in zip(GROUPS, ("released", "confirmed", "released"), strict=True)
)


def test_decisions_on_groups_alone_are_a_run_and_are_pinned_by_its_version_once() -> None:
    fake = published(3, 0)
    fake.traffic_decisions.decided = {CONFIRMED, RELEASED}
    result = run(fake)
    assert (result.state, result.archived_count) == ("published", 0)
    assert fake.versions.published[1].traffic_decisions == (RELEASED, CONFIRMED)
    assert fake.versions.traffic_decided_until(1) == frozenset()
    assert "2 groups, 4 events changed" in fake.line("decisions")
    assert fake.last_entry().detail["decided_groups"] == 2
    assert run(fake).state == "nothing_new"


def test_a_decision_on_a_group_that_changed_meanwhile_is_not_applied_and_starts_no_run() -> None:
    fake = published(3, 0)
    fake.warehouse.changed_groups = [OVERTAKEN.group]
    fake.traffic_decisions.decided = {OVERTAKEN}
    assert run(fake).state == "nothing_new"
    fake.traffic_decisions.decided = {OVERTAKEN, RELEASED}
    assert run(fake).state == "published"
    assert fake.versions.published[1].traffic_decisions == (RELEASED,)


def test_before_the_first_version_there_is_no_group_to_decide_on() -> None:
    fake = FakeRun()
    fake.traffic_decisions.decided = {RELEASED}
    fake.send(1, 0)
    assert run(fake).state == "published"
    assert fake.versions.published[0].traffic_decisions == ()


def test_a_key_that_is_revoked_from_an_instant_alone_is_a_run_that_judges_stored_events_again() -> None:
    fake = published(3, 2)
    fake.warehouse.newly_unattested = 2
    result = run(fake)
    assert (result.state, result.archived_count) == ("published", 0)
    assert fake.warehouse.steps.count("judge_revoked_keys") == 1
    assert "judge" not in fake.warehouse.steps[fake.warehouse.steps.index("judge_revoked_keys") - 2 :]
    assert "a key is not trusted from an instant on, 2 events changed" in fake.line("attestations")
    fake.warehouse.newly_unattested = 0
    assert run(fake).state == "nothing_new"


def test_a_changed_catalogue_alone_is_a_run_with_its_own_line() -> None:
    fake = published(3, 2)
    fake.warehouse.catalogue = 4
    result = run(fake)
    assert (result.state, result.archived_count) == ("published", 0)
    assert {rules.catalogue_version for rules in fake.versions.published[1].day_rules.values()} == {4}
    assert "5 of them because the catalogue changed" in fake.line("judge")
    assert fake.last_entry().detail["catalogue_changed"] == 5
    assert run(fake).state == "nothing_new"


def ruled(*groups: TrafficGroup) -> FakeRun:
    """Return a run whose version has two parts of a day each, both ruled by a policy of traffic."""
    fake = FakeRun()
    fake.warehouse.groups = list(groups)
    fake.warehouse.traffic_policy = 1
    fake.send(4, 2)
    assert run(fake, part_offsets=3).state == "published"
    return fake


def test_days_that_are_due_are_judged_after_all_parts_and_published_with_them() -> None:
    fake = ruled()
    assert fake.warehouse.judged_days == [], "both days go on"
    fake.log.now += timedelta(days=2, hours=12)
    fake.send(1, 0)
    fake.warehouse.steps.clear()
    result = run(fake)
    assert fake.warehouse.steps[2:] == [
        "open_branch", *OF_A_PART, "archive", "judge_traffic", *OF_A_PART[2:], *OF_PUBLISHING
    ]  # fmt: skip
    assert fake.warehouse.judged_days == [(DAY + timedelta(days=1),)]
    version = fake.versions.published[-1]
    assert version.day_rules[DAY + timedelta(days=1)].seen == SeenTraffic(version.offsets, 0, version.settled_until)
    assert version.day_rules[DAY + timedelta(days=2)].seen is None
    assert (DAY + timedelta(days=1)).isoformat() in result.judged_days
    assert "1 day judged, 2 events changed" in fake.line("traffic")


def test_a_month_that_can_be_billed_is_judged_as_a_whole_once_after_its_days() -> None:
    fake = ruled()
    fake.log.now += timedelta(days=13)
    fake.warehouse.steps.clear()
    result = run(fake)
    assert result.state == "published"
    assert fake.warehouse.steps[2:] == [
        "open_branch", "archive", "judge_traffic", *OF_A_PART[2:], "archive", "judge_period", *OF_A_PART[2:],
        *OF_PUBLISHING,
    ]  # fmt: skip
    (november,) = fake.warehouse.judged_periods
    assert november == Period.parse("2026-11")
    version = fake.versions.published[-1]
    assert {each.period for each in version.day_rules.values()} == {version.day_rules[DAY + timedelta(days=1)].period}
    assert [(number, period) for number, period, _ in fake.versions.findings] == [(version.version, november)]
    assert f"{november}: 1 finding, 2 events changed" in fake.line("period")
    assert fake.last_entry().detail["findings"] == 1
    assert run(fake).state == "nothing_new"


def test_a_period_that_is_asked_for_is_judged_as_a_whole_when_it_is_over() -> None:
    fake = ruled()
    asked = Period(DAY, DAY + timedelta(days=2))
    assert run_once(fake.ports(), TOPIC, judge_period=asked).state == "nothing_new", "its last day goes on"
    fake.log.now += timedelta(days=2, hours=12)
    run_once(fake.ports(), TOPIC, judge_period=asked)
    assert fake.warehouse.judged_periods == [asked]
    by_day = {day: each.period for day, each in fake.versions.published[-1].day_rules.items()}
    assert by_day[DAY + timedelta(days=1)] is not None
    assert by_day[DAY + timedelta(days=2)] is None, "a day of no period that was asked for"
    assert run_once(fake.ports(), TOPIC, judge_period=asked).state == "nothing_new"


def test_a_due_day_alone_is_a_run_and_is_judged_once() -> None:
    fake = ruled()
    fake.log.now += timedelta(days=2, hours=12)
    fake.warehouse.steps.clear()
    result = run(fake)
    assert (result.state, result.archived_count) == ("published", 0)
    assert fake.warehouse.steps[2:] == ["open_branch", "archive", "judge_traffic", *OF_A_PART[2:], *OF_PUBLISHING]
    assert len(fake.warehouse.judged_days) == 1
    fake.log.now += timedelta(hours=23)
    assert run(fake).state == "nothing_new"
    fake.log.now += timedelta(hours=1)
    assert run(fake).state == "published"
    assert fake.warehouse.judged_days[1:] == [(DAY + timedelta(days=2),)]


def test_the_days_of_a_period_to_be_billed_are_judged_on_request_where_something_came_since() -> None:
    fake = ruled()
    fake.log.now += timedelta(days=4)
    assert run(fake).state == "published"
    days = tuple(DAY + timedelta(days=number) for number in (1, 2))
    assert fake.warehouse.judged_days == [days]
    period = Period(days[0], DAY + timedelta(days=9))
    asked = lambda: run_once(fake.ports(), TOPIC, judge_period=period)  # noqa: E731
    assert asked().state == "nothing_new", "nothing came since"
    fake.send(0, 1)
    assert asked().state == "published"
    assert fake.warehouse.judged_days == [days, days], "the new day goes on"


def test_a_decision_about_a_late_event_judges_the_days_that_would_have_seen_it() -> None:
    fake = ruled()
    fake.log.now += timedelta(days=4)
    run(fake)
    fake.decisions.places = {(0, 1)}
    assert run(fake).accepted_count == 1
    assert fake.warehouse.judged_days[1:] == fake.warehouse.judged_days[:1]


def test_groups_are_noted_once_by_the_run_of_their_version_and_expire_into_a_version_of_their_own() -> None:
    group = TrafficGroup(DAY, "many", "ann", 2, "1f" * 16)
    fake = ruled(group)
    clock = fake.traffic_decisions
    assert set(clock.seen_at) == {group}, "the reviewer sees it before the next run"
    run(fake)
    assert [number for number, _ in clock.noted] == [1], "the outcomes of version 1 did not change"
    clock.now += timedelta(days=13)
    assert (run(fake).state, run(fake).expiring_group_count) == ("nothing_new", 1)
    clock.now += timedelta(days=1)
    assert run(fake).state == "published"
    assert "1 group of traffic expired" in fake.line("cut")
    assert fake.versions.published[-1].traffic_decisions == (TrafficDecision(group, TrafficOutcome.RELEASED),)


@pytest.mark.parametrize("ending", [AWAY, DifferenceError("a file is gone"), Crash()], ids=["away", "lost", "crash"])
def test_groups_that_could_not_be_noted_are_noted_by_the_next_run(ending: BaseException) -> None:
    group = TrafficGroup(DAY, "many", "ann", 2, "1f" * 16)
    fake = FakeRun()
    fake.warehouse.groups = [group]
    fake.warehouse.stop_at, fake.warehouse.ending = "groups_under_review", ending
    fake.send(4, 2)
    if isinstance(ending, Crash):
        with pytest.raises(Crash):
            run(fake)
    else:
        result = run(fake)
        assert result.notes[-1] == f"the groups under review were not noted ({ending}); the next run does it"
    assert (fake.last_entry().state, len(fake.versions.published)) == ("published", 1)
    assert fake.traffic_decisions.noted == []
    fake.warehouse.stop_at = ""
    assert run(fake).state == "nothing_new"
    assert (set(fake.traffic_decisions.seen_at), len(fake.traffic_decisions.noted)) == ({group}, 1)


def test_nothing_new_publishes_nothing_and_opens_no_branch() -> None:
    fake = published(2, 1)
    assert run(fake).state == "nothing_new"
    assert fake.warehouse.steps == ["repair", "has_newer_catalogue"]
    assert len(fake.versions.published) == 1
    assert fake.last_entry().state == "nothing_new"
    empty = FakeRun()
    assert (run(empty).state, empty.versions.published) == ("nothing_new", [])


def test_offsets_without_a_record_are_counted_over_all_parts_and_not_lost() -> None:
    fake = FakeRun()
    fake.send(6, 4)
    fake.warehouse.gap_offsets = {(0, 0), (0, 5), (1, 3)}
    result = run(fake, part_offsets=3)
    assert (result.archived_count, result.gap_count) == (7, 3)
    assert fake.last_entry().detail["gaps"] == {"0": 2, "1": 1}


def test_a_refused_part_publishes_nothing_and_its_branch_stays_to_be_looked_at() -> None:
    fake = published(2, 0)
    fake.send(5, 0)
    fake.warehouse.failures = ["views are negative"]
    with pytest.raises(GateFailedError, match="views are negative"):
        run(fake, part_offsets=2)
    refused = fake.last_entry()
    assert (refused.state, refused.detail["failures"]) == ("gate_failed", ["views are negative"])
    assert fake.warehouse.steps.count("archive") == 1, "no further part"
    assert "contents" not in fake.warehouse.steps
    assert (len(fake.versions.published), fake.warehouse.main, fake.warehouse.open) == (1, 2, set())
    assert fake.metrics.outcomes[-1] == "gate_failed"
    fake.warehouse.failures = ()
    assert run(fake).state == "published"
    assert fake.warehouse.branches == {refused.run_id}


def test_what_differs_when_read_back_publishes_nothing() -> None:
    fake = published(2, 0)
    fake.send(1, 0)
    fake.warehouse.found = ["events of partition 0 differ"]
    with pytest.raises(DifferenceError, match="nothing was published: events of partition 0 differ"):
        run(fake)
    assert (len(fake.versions.published), fake.last_entry().state) == (1, "failed")


ENDINGS = [AWAY, Crash()]
STEPS = ["repair", "has_newer_catalogue", "open_branch", *OF_A_PART, *OF_PUBLISHING]


@pytest.mark.parametrize("ending", ENDINGS, ids=["unavailable", "crash"])
@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_ends_at_any_step_publishes_nothing_or_one_whole_version(step: str, ending: BaseException) -> None:
    fake = published(2, 1)
    fake.send(3, 0)
    fake.warehouse.stop_at, fake.warehouse.ending = step, ending
    is_published = step == "finish"
    if is_published and ending is AWAY:
        assert "main was not moved" in " ".join(run(fake).notes)
    else:
        with pytest.raises(type(ending)):
            run(fake, part_offsets=2)
    assert len(fake.versions.published) == 1 + is_published
    assert fake.warehouse.main == 3, "main shows the former version until the run is finished"
    assert fake.warehouse.open == set(), "what was computed is freed"
    states = {AWAY: "failed", ENDINGS[1]: "running"}
    assert fake.last_entry().state == ("published" if is_published else states[ending])
    # the next run repairs what this one left
    fake.warehouse.stop_at = ""
    fake.send(1, 0)
    result = run(fake)
    assert (result.state, fake.versions.published[-1].row_counts["events"]) == ("published", 7)
    assert fake.versions.published[-1].offsets.ends == (6, 1)
    assert fake.versions.runs_in("running") == []
    assert (fake.warehouse.main, fake.warehouse.branches) == (7, set())


def test_a_server_that_goes_away_after_publishing_is_a_note_and_not_a_failure() -> None:
    fake = published(2, 0)
    fake.send(1, 0)
    fake.changed.failure = AWAY
    result = run(fake)
    assert result.state == "published"
    assert "is not reconciled" in " ".join(result.notes)
    fake.changed.failure = None
    fake.changed.judged = ["tally and events differ"]
    fake.send(1, 0)
    assert run(fake).differences == ("tally and events differ",)
    with pytest.raises(DifferenceError, match="tally and events differ; nothing is published or billed until"):
        run(fake)


Work = Callable[[RunPorts], RunResult]
WORKS: Sequence[Work] = (lambda ports: run_once(ports, TOPIC), rebuild_once, upgrade_once)


@pytest.mark.parametrize("work", WORKS, ids=["run", "rebuild", "upgrade"])
def test_beside_another_run_nothing_is_done(work: Work) -> None:
    fake = published(1, 1)
    fake.versions.is_locked_elsewhere = True
    with pytest.raises(RefusedError, match="a batch run or a maintenance is at work"):
        work(fake.ports())
    assert fake.warehouse.steps == []
    assert len(fake.versions.journal) == 1


def test_a_rebuild_compares_the_version_with_what_was_accepted_until_then() -> None:
    fake = published(3, 1)
    fake.decisions.places = {(0, 1)}
    run(fake)
    fake.decisions.places |= {(0, 2)}
    fake.warehouse.accepted.clear()
    assert rebuild(fake).state == "equal"
    assert fake.warehouse.accepted == [((0, 1),)]
    assert (fake.last_entry().kind, fake.last_entry().detail["equals_version"]) == ("rebuild", 2)
    fake.warehouse.rebuilt = ["events of 2026-11-20 differ", "tally differs"]
    with pytest.raises(DifferenceError, match="a rebuild of version 2 differs: events of 2026-11-20 differ"):
        rebuild(fake)
    assert (fake.last_entry().state, len(fake.versions.published)) == ("failed", 2)


@pytest.mark.parametrize("work", [rebuild_once, upgrade_once], ids=["rebuild", "upgrade"])
def test_before_the_first_version_there_is_nothing_to_rebuild_or_to_upgrade(work: Work) -> None:
    fake = FakeRun()
    with pytest.raises(RefusedError, match="nothing is published yet"):
        work(fake.ports())
    assert fake.versions.journal == {}


def test_an_upgrade_publishes_the_same_reach_once() -> None:
    fake = published(3, 1)
    fake.decisions.places = {(0, 1)}
    run(fake)
    fake.warehouse.steps.clear()
    fake.warehouse.catalogue = 6
    result = upgrade(fake)
    assert (result.state, result.version, result.accepted_count) == ("published", 3, 0)
    assert fake.warehouse.steps == ["repair", "rewrite", "check", "contents", *OF_PUBLISHING]
    assert fake.warehouse.accepted[-1] == ((0, 1),), "what the former version accepted stays accepted"
    before, after = fake.versions.published[1:]
    assert (after.offsets, after.watermarks) == (before.offsets, before.watermarks)
    assert after.event_contracts == before.event_contracts
    assert fake.versions.accepted_until(3) == {(0, 1)}
    assert {rules.catalogue_version for rules in after.day_rules.values()} == {6}
    fake.warehouse.is_of_today = True
    assert upgrade_once(fake.ports()).state == "nothing_new"
    assert len(fake.versions.published) == 3


@pytest.mark.parametrize("ending", ENDINGS, ids=["unavailable", "crash"])
@pytest.mark.parametrize("step", ["repair", "rewrite", "check", "contents", *OF_PUBLISHING])
def test_an_upgrade_that_ends_at_any_step_leaves_the_former_version_and_can_be_repeated(
    step: str, ending: BaseException
) -> None:
    fake = published(3, 1)
    fake.warehouse.stop_at, fake.warehouse.ending = step, ending
    is_published = step == "finish"
    if is_published and ending is AWAY:
        assert upgrade(fake).state == "published"
    else:
        with pytest.raises(type(ending)):
            upgrade(fake)
    assert len(fake.versions.published) == 1 + is_published
    assert (fake.warehouse.main, fake.warehouse.open) == (4, set())
    fake.warehouse.stop_at = ""
    fake.warehouse.is_of_today = is_published
    assert upgrade_once(fake.ports()).state == ("nothing_new" if is_published else "published")
    fake.warehouse.is_of_today = True
    fake.send(1, 0)
    assert run(fake).state == "published"
    assert fake.versions.runs_in("running") == []
    assert fake.warehouse.branches == set()


@pytest.mark.parametrize(("failures", "found"), [(["a"], []), ([], ["b differs"])])
def test_an_upgrade_whose_result_is_wrong_publishes_nothing(failures: list[str], found: list[str]) -> None:
    fake = published(3, 1)
    fake.warehouse.failures, fake.warehouse.found = failures, found
    with pytest.raises((GateFailedError, DifferenceError)):
        upgrade(fake)
    assert len(fake.versions.published) == 1
    assert fake.last_entry().state == ("gate_failed" if failures else "failed")


def test_a_version_without_any_event_was_judged_by_no_catalogue() -> None:
    nothing: Any = None
    catalogue = MemoryCatalogue([{}, {}])
    others: dict[str, Any] = dict.fromkeys(("staging", "gate", "keys"))
    warehouse = SparkWarehouse(nothing, nothing, catalogue, reports=Path(), policies=(), **others)
    version = published(1, 0).versions.published[0]
    assert warehouse.has_newer_catalogue(version)
    assert not warehouse.has_newer_catalogue(replace(version, day_rules={DAY: DayRules(1, 2)}))
    assert not warehouse.has_newer_catalogue(replace(version, day_rules={}))


def test_a_layout_of_an_earlier_release_is_neither_run_on_nor_rebuilt() -> None:
    fake = published(3, 1)
    fake.warehouse.is_of_today = False
    fake.send(1, 0)
    for work in (run, rebuild):
        with pytest.raises(RefusedError, match=r"earlier release; run `./viewledger batch upgrade`"):
            work(fake)
    assert fake.warehouse.steps == []
    assert len(fake.versions.published) == 1
