"""Allow-lists: which views they are about, what they exempt from and what never, and which entries are refused."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from batch_layer.traffic.allowed import allowed_views, without_allowed
from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.day_rules import day_outcomes
from batch_layer.traffic.findings import Finding
from billing.terms.differences import policy_differences
from billing.terms.file_policies import read_traffic_policy
from billing.terms.policies import StoredPolicy
from ingestion.contract.allowed_traffic import ALLOWABLE, AllowedKind, AllowedTraffic, contradictions_of
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import ViewEvent
from ingestion.contract.requests import FileRefusedError
from ingestion.contract.traffic_policy import SHIPPED, TrafficPolicy, traffic_document, traffic_policy
from ingestion.contract.traffic_reasons import RULE_REASONS, DayReason
from ingestion.contract.traits import TraitsKey, traits_of
from tests.day_events import view_at
from tests.random_day_events import low_policy, random_events, some_allowed

KEY = TraitsKey(b"k" * 32)
UNTIL = date(2027, 2, 1)
SCHOOL = AllowedTraffic(AllowedKind.NETWORK, "192.0.2.0/24", UNTIL, ("lockstep", "shared_session"), "a school")
AGENT = AllowedTraffic(AllowedKind.AGENT, "Tablet of a school/7", UNTIL, ("lockstep",), "its tablets")
FIRST = date(2026, 12, 10)
POLICY = replace(SHIPPED, version=4, effective_from_on=FIRST, allowed=(AGENT, SCHOOL))


def event_of(day: date, network: str, agent: str) -> ViewEvent:
    message = {
        "event_id": "7b7c1c1e-0000-4000-8000-000000000001",
        "video_id": "v",
        "user_id": "viewer_" + "0" * 32,
        "session_id": "session_" + "0" * 32,
        "timestamp": f"{day}T10:00:00Z",
        "view_duration": 40,
        "revenue_eligible": True,
        "client_network": network,
        "user_agent": agent,
    }
    event = decode_view_event(msgspec.json.encode(message), 3)
    assert isinstance(event, ViewEvent), event
    return event


def view_on(day: date, **fields: object) -> DayEvent:
    return view_at(1, datetime(day.year, day.month, day.day, 10, tzinfo=UTC), **fields)


@pytest.mark.parametrize("day", [FIRST, date(2026, 12, 31), date(2027, 1, 1), UNTIL - timedelta(days=1), UNTIL])
def test_an_entry_is_about_the_views_of_its_network_or_agent_in_every_quarter_until_it_ends(day: date) -> None:
    agents, school = allowed_views(POLICY, KEY)
    hashed = traits_of(event_of(day, "192.0.2.77", "Tablet of a school/7"), b"{}", (day - date(1970, 1, 1)).days, KEY)
    other = traits_of(event_of(day, "192.0.3.77", "Tablet of a school/70"), b"{}", (day - date(1970, 1, 1)).days, KEY)
    mine, others = (view_on(day, network=each.network, agent=each.agent) for each in (hashed, other))
    for entry in (agents, school):
        assert entry.are_of(mine) is (day < UNTIL)
        assert not entry.are_of(others)
        assert not entry.are_of(view_on(day, network=None, agent=None))


def test_an_entry_of_a_payee_needs_no_key_and_the_others_do() -> None:
    of_payee = AllowedTraffic(AllowedKind.PAYEE, "p7", UNTIL, ("crowd_of_weeks",), "songs for sleeping")
    (entry,) = allowed_views(replace(POLICY, allowed=(of_payee,)), None)
    assert entry.are_of(view_on(FIRST, payee_id="p7"))
    assert not entry.are_of(view_on(FIRST, payee_id="p8"))
    with pytest.raises(ValueError, match="traffic policy 4 allows views by their agent, and no key is given"):
        allowed_views(POLICY, None)


def test_a_class_that_is_allowed_stays_and_a_robot_in_its_network_does_not() -> None:
    """Twenty pupils begin the same videos together; on one of their tablets a program plays, too."""
    morning = datetime(2026, 12, 14, 8, tzinfo=UTC)
    pupils = [
        view_at(
            100 * pupil + number,
            morning + timedelta(seconds=400 * number + pupil),
            user_id=f"u{pupil}",
            session_id=f"s{pupil}",
            network=f"n{pupil % 4}",
            video_id=f"v{number}",
            payee_id=f"p{number}",
        )
        for pupil in range(20)
        for number in range(3)
    ]
    program = [
        view_at(9_000 + 12 * burst + each, morning + timedelta(seconds=2_000 * burst + each), user_id="robot",
                network="n0", video_id=f"w{each}", payee_id=f"q{each}")
        for burst in range(3)
        for each in range(12)
    ]  # fmt: skip
    entries = [AllowedTraffic(AllowedKind.PAYEE, f"p{number}", UNTIL, ("lockstep",), "a course") for number in range(3)]
    policy = replace(SHIPPED, effective_from_on=FIRST, allowed=tuple(entries))
    day = morning.date()
    before = {each.offset for each in day_outcomes([*pupils, *program], day, policy)}
    assert before == {each.offset for each in [*pupils, *program]}
    after = day_outcomes([*pupils, *program], day, policy, allowed_views(policy, None))
    assert {each.offset for each in after} == {each.offset for each in program}
    assert {each.reason for each in after} == {"plays_at_once"}


@pytest.mark.parametrize("seed", range(12))
def test_only_what_an_entry_names_is_left_out_of_what_was_found(seed: int) -> None:
    rng = random.Random(seed)
    policy, allowed = some_allowed(rng, low_policy(rng))
    events = sorted(random_events(rng, 60), key=lambda each: each.order)
    found = [
        Finding((each.partition, each.offset), reason, 50) for each in events for reason in rng.sample(RULE_REASONS, 3)
    ]
    left = list(without_allowed(found, events, allowed))
    by_place = {(each.partition, each.offset): each for each in events}
    for finding in found:
        event = by_place[finding.place]
        names = {"network": event.network, "agent": event.agent, "payee": event.payee_id}
        is_exempt = any(
            names[entry.kind] == entry.name and event.event_day < entry.until and finding.reason.code in entry.reasons
            for entry in policy.allowed
        )
        assert (finding in left) is not is_exempt
    assert 0 < len(left) < len(found) or seed == 4, "its only entry is over"
    assert list(without_allowed(found, events, ())) == found


def test_no_entry_exempts_from_what_no_viewer_can_do() -> None:
    never = {each.code for each in RULE_REASONS} - set(ALLOWABLE)
    assert never == {
        "plays_at_once", "more_hours_than_a_day", "countries_within_hours", "networks_within_hours", "even_pauses",
        "even_days", "payees_in_a_ring",
    }  # fmt: skip


def test_a_policy_is_read_back_from_its_record_and_one_that_allows_nothing_is_written_as_before() -> None:
    document = traffic_document(POLICY)
    assert document["allowed"][0] == ["agent", "Tablet of a school/7", "2027-02-01", ["lockstep"], "its tablets"]
    assert traffic_policy(4, FIRST, document) == POLICY
    assert "allowed" not in traffic_document(replace(POLICY, allowed=()))


def file_of(folder: Path, **change: object) -> Path:
    entry = {"kind": "network", "name": "192.0.2.0/24", "until": "2027-02-01", "because": "a school"}
    entry |= {"reasons": "[shared_session, lockstep]"} | change
    lines = [f"{name}: {value}" for name, value in entry.items() if value is not None]
    file = folder / "policy.yaml"
    file.write_text("allowed:\n  - " + "\n    ".join(lines) + "\n")
    return file


def test_a_file_gives_the_whole_list_and_one_without_it_leaves_the_former(tmp_path: Path) -> None:
    read = read_traffic_policy(file_of(tmp_path), replace(SHIPPED, allowed=(AGENT,)))
    assert read.allowed == (SCHOOL,)
    (tmp_path / "other.yaml").write_text("hours_invalid: 50\n")
    assert read_traffic_policy(tmp_path / "other.yaml", read).allowed == (SCHOOL,)
    (tmp_path / "none.yaml").write_text("allowed: []\n")
    assert read_traffic_policy(tmp_path / "none.yaml", read).allowed == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "viewer"}, "'viewer' is not one of ['network', 'agent', 'payee']"),
        ({"name": "192.0.2.7"}, "allowed names the network '192.0.2.7'; it must be a /24 or /48 as the log has them"),
        ({"name": "192.0.0.0/16"}, "it must be a /24 or /48"),
        ({"name": "2001:db8::1/48"}, "it must be a /24 or /48"),
        ({"kind": "agent", "name": "Täblet"}, "it must be 1 to 2048 printable characters of ASCII"),
        ({"kind": "agent", "name": '""'}, "it must be 1 to 2048 printable characters of ASCII"),
        ({"reasons": "[plays_at_once]"}, "'plays_at_once' is not one of"),
        ({"reasons": "[]"}, "the list is empty; allowed: one or more"),
        ({"until": "soon"}, "'soon' is not a day; allowed: YYYY-MM-DD"),
        ({"because": '""'}, "say it in 1 to 500 characters of ASCII"),
        ({"because": '" "'}, "say it in 1 to 500 characters of ASCII"),
        ({"kind": "agent", "name": '"Tablet "'}, "it must be 1 to 2048 printable characters of ASCII"),
        ({"because": None}, "'because' is missing; give it"),
        ({"for": "ever"}, "'for' is not a key here; allowed: kind, name, until, reasons, because"),
    ],
)
def test_an_entry_that_nobody_could_use_is_refused_with_a_sentence(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    with pytest.raises(FileRefusedError) as caught:
        read_traffic_policy(file_of(tmp_path, **change), SHIPPED)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_a_name_has_one_entry_and_a_list_has_an_end() -> None:
    assert contradictions_of([SCHOOL, AGENT]) == []
    assert "2 times; give one entry with all of its reasons" in contradictions_of([SCHOOL, SCHOOL])[0]
    many = [replace(AGENT, name=f"agent {number}") for number in range(201)]
    assert contradictions_of(many) == ["allowed has 201 entries; it must have at most 200"]
    (problem,) = contradictions_of([replace(AGENT, reasons=(DayReason.PLAYS_AT_ONCE.code,))])
    assert problem.startswith("allowed names the agent 'Tablet of a school/7' for plays_at_once; its reasons must be")


def stored(version: int, policy: TrafficPolicy, state: str) -> StoredPolicy:
    made_at = datetime(2026, 12, 1, tzinfo=UTC)
    return StoredPolicy("traffic", version, FIRST, traffic_document(policy), "", state, made_at, "max")


def test_who_approves_reads_what_is_allowed_from_now_on_and_what_no_more() -> None:
    later = replace(POLICY, allowed=(SCHOOL,), hours_invalid=50)
    sentences = list(policy_differences([stored(1, replace(POLICY, allowed=(AGENT,)), "in_force"),
                                         stored(2, later, "proposed")], "traffic:2"))  # fmt: skip
    assert sentences == [
        "traffic policy 2 would rule from 2026-12-10 on",
        "the one before allows the agent Tablet of a school/7 before 2027-02-01, whatever lockstep say: its tablets",
        "it allows the network 192.0.2.0/24 before 2027-02-01, whatever lockstep and shared_session say: a school",
        "hours_invalid was 48 and is 50",
    ]
