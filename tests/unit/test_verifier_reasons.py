"""The verifier's answers to an auditor's bundle with wrong views, reasons or events, and to the wrong bundle."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing.proof.ed25519_keys import create_key
from ingestion.contract.traffic_policy import SHIPPED, traffic_document
from tests.bundle_makers import random_month, signed
from tests.verifier import verifier

DAY, BEFORE = "2026-10-05", "2026-10-04"
HOUR = 3_600_000_000
NOON = 20_731 * 24 * HOUR + 12 * HOUR
ENDS = [100, 100]
POLICY = traffic_document(replace(SHIPPED, hours_review=3, hours_invalid=5))


@dataclass
class Auditors:
    """The files about traffic of a bundle, in memory, and the events beside them."""

    views: list[dict[str, Any]] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    events: dict[tuple[int, int], list[Any]] = field(default_factory=dict)
    decisions: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    days_left_out: set[str] = field(default_factory=set)
    allowed: list[list[Any]] = field(default_factory=list)
    """The allow-list of the policy."""
    start_on = date(2026, 10, 1)
    end_on = date(2026, 11, 1)
    versions = {"batch": 3, "catalogue": 1}  # noqa: RUF012

    def rows(self, name: str) -> Iterator[tuple[int, dict[str, str]]]:
        rows = self.views if name == verifier.JUDGED else self.stored
        return ((number, {key: str(value) for key, value in row.items()}) for number, row in enumerate(rows, 2))

    def add(self, offset: int, viewer: str, hours: int, outcome: str = "billable", day: str = DAY) -> None:
        """Add a view that is judged with its day, and the event."""
        begun = NOON + offset * HOUR // 100 - (day == BEFORE) * 24 * HOUR
        place = {"judged_day": DAY, "partition": 0, "offset": offset, "event_id": f"e{offset:02}", "event_day": day}
        view = place | {"begun": begun, "video_id": "v", "payee_id": "ann", "length_seconds": "", "viewer": viewer}
        names = dict.fromkeys(("session", "network", "network_kind", "agent", "referrer", "allowed"), "")
        view |= {"view_duration": hours * 3_600, "country": "DE", "device_type": "tv"} | names
        self.views.append(view)
        self.views.sort(key=lambda each: (each["begun"], each["event_id"]))
        if day == DAY:
            self.events[0, offset] = [f"e{offset:02}", "v", day, "DE", hours * 3_600, outcome, offset]

    def say(self, offset: int, outcome: str, points: int, reason: str = "more_hours_than_a_day") -> None:
        place = {"partition": 0, "offset": offset, "event_day": DAY, "payee_id": "ann"}
        self.stored.append(place | {"outcome": outcome, "reason": reason, "points": points})
        self.stored.sort(key=lambda each: each["offset"])

    def check(self) -> dict[str, int]:
        database = sqlite3.connect(":memory:")
        database.executescript(verifier.SCHEMA)
        database.execute("INSERT INTO owners VALUES ('v', '0001-01-01', '9999-12-31', 'ann', 1000000)")
        database.execute("INSERT INTO videos VALUES ('v', NULL)")
        for place, event in self.events.items():
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*place, *event))
        found = verifier.Found(database, reader="auditor", first_day="2026-10-01")
        traffic = {"policy_version": 2, "catalogue_version": 1, "settled_until": "", "ends": ENDS} | self.rules
        found.contents["version", "3"] = {"day_rules": {DAY: {"policy_version": 1, "traffic": traffic}}}
        found.thresholds[2] = POLICY | ({"allowed": self.allowed} if self.allowed else {})
        found.decisions.update(self.decisions)
        return dict(verifier.check_reasons(self, found))


@pytest.fixture
def auditors() -> Auditors:
    """One viewer of six hours, whose two views are invalid, and one of four, whose views are reviewed; others."""
    found = Auditors()
    found.add(1, "quick", 1)
    for offset in (2, 3):
        found.add(offset, "robot", 3, "invalid_traffic:impossible")
        found.say(offset, "invalid", 100)
    for offset in (4, 5):
        found.add(offset, "suspect", 2, "under_review")
        found.say(offset, "review", 50)
    found.add(6, "quick", 1, "duplicate")  # it lost its place to an event that came after the rules
    found.add(9, "of before", 2, day=BEFORE)
    found.views = [view for view in found.views if view["offset"] != 9]
    found.views.insert(0, {**found.views[0], "offset": 9, "event_id": "e09", "event_day": "2026-10-04", "begun": 5})
    found.events[0, 9] = ["e09", "v", BEFORE, "DE", 3_600, "billable", 9]
    found.events[0, 200] = ["late", "v", DAY, "DE", 60, "traffic_pending", 200]
    return found


def test_what_the_rules_say_again_agrees(auditors: Auditors) -> None:
    assert auditors.check() == {"days_judged_again": 1, "events_judged_again": 6, "judged_days_left_out": 0}


def test_decided_events_need_decisions_on_as_many(auditors: Auditors) -> None:
    for row in auditors.stored[2:]:
        row["outcome"] = "released"
    for place in ((0, 4), (0, 5)):
        auditors.events[place][5] = "billable"
    with pytest.raises(verifier.WrongError, match="2 events of payee ann on 2026-10-05 for more_hours_than_a_day are "):
        auditors.check()
    auditors.decisions[DAY, "more_hours_than_a_day", "ann", "released"] = 2
    assert auditors.check()["days_judged_again"] == 1


def test_a_reason_of_which_a_day_had_too_many_is_reviewed(auditors: Auditors) -> None:
    auditors.rules["reviewed"] = ["more_hours_than_a_day"]
    for offset, row in ((2, auditors.stored[0]), (3, auditors.stored[1])):
        row["outcome"] = "review"
        auditors.events[0, offset][5] = "under_review"
    assert auditors.check()["events_judged_again"] == 6


def test_what_a_rule_of_a_period_found_is_taken_as_given(auditors: Auditors) -> None:
    auditors.say(1, "review", 60, "crowd_of_weeks")
    auditors.events[0, 1][5] = "under_review"
    assert auditors.check()["events_judged_again"] == 6
    auditors.stored[0]["reason"] = "rule_of_nobody"
    with pytest.raises(verifier.WrongError, match="names rule_of_nobody, which is not a reason of traffic"):
        auditors.check()


ENTRIES = [
    ["network", "192.0.2.0/24", "2026-10-06", ["lockstep"], "a school"],
    ["payee", "bob", "2026-12-01", ["crowd_of_weeks"], "songs for sleeping"],
]


@pytest.fixture
def allowing(auditors: Auditors) -> Auditors:
    """Two of the views come from a network that the policy allows."""
    auditors.allowed = [list(each) for each in ENTRIES]
    for view in auditors.views:
        if view["offset"] in (1, 6):
            view |= {"network": "aa", "allowed": "0"}
    return auditors


def view_at(found: Auditors, offset: int) -> dict[str, Any]:
    return next(each for each in found.views if each["offset"] == offset)


def test_views_that_an_entry_of_the_allow_list_is_about_agree(allowing: Auditors) -> None:
    assert allowing.check()["events_judged_again"] == 6


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: view_at(found, 6).update(allowed=""), "e06 is not allowed by entry 0, which names its network"),
        (
            lambda found: view_at(found, 6).update(network="bb"),
            "e06 is allowed by entry 0, which names another network",
        ),
        (lambda found: view_at(found, 6).update(network=""), "e06 is allowed by entry 0, which names another network"),
        (lambda found: view_at(found, 1).update(allowed="0 2"), "e01 is allowed by entry 2, which the policy has not"),
        (lambda found: view_at(found, 1).update(allowed="0 1"), "e01 is allowed by entry 1, which names another payee"),
        (
            lambda found: view_at(found, 9).update(network="aa", allowed="0"),
            "e09 is allowed by entry 0, which the policy",
        ),
        (lambda found: found.allowed[0].__setitem__(2, DAY), "e01 is allowed by entry 0, which the policy has not on"),
        (lambda found: found.allowed[1].__setitem__(1, "ann"), "is not allowed by entry 1, which names its payee"),
        (lambda found: view_at(found, 1).update(allowed="x"), "a field is not valid"),
        (
            lambda found: found.allowed[0].__setitem__(3, ["plays_at_once"]),
            "traffic policy 2 allows the network 192.0.2.0/24 what no viewer can do: plays_at_once",
        ),
    ],
)
def test_a_view_that_is_allowed_and_is_not_of_the_entry_is_named(
    allowing: Auditors, change: Callable[[Auditors], None], problem: str
) -> None:
    change(allowing)
    with pytest.raises(verifier.WrongError, match=problem):
        allowing.check()


def test_a_day_that_is_left_out_is_counted(auditors: Auditors) -> None:
    auditors.views, auditors.stored, auditors.days_left_out = [], [], {DAY}
    assert auditors.check() == {"days_judged_again": 0, "events_judged_again": 0, "judged_days_left_out": 1}
    auditors.days_left_out = {"2026-10-07"}
    with pytest.raises(verifier.WrongError, match="leaves out 2026-10-07, which the version has not judged"):
        auditors.check()


def less(name: str, index: int) -> Callable[[Auditors], None]:
    return lambda found: getattr(found, name).pop(index) and None


def event(offset: int, outcome: str) -> Callable[[Auditors], None]:
    def change(found: Auditors) -> None:
        found.events[0, offset][5] = outcome

    return change


def row(name: str, index: int, **values: Any) -> Callable[[Auditors], None]:
    return lambda found: getattr(found, name)[index].update(values)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (less("stored", 0), "the rules of 2026-10-05 say invalid more_hours_than_a_day 100 of event e02, and no row"),
        (less("views", 2), "line 2: says invalid more_hours_than_a_day 100 of payee ann, and the rules say nothing"),
        (row("stored", 0, points=60), "line 2: says invalid more_hours_than_a_day 60 of payee ann, and the rules say"),
        (row("stored", 0, outcome="review"), "line 2: says review"),
        (row("stored", 0, payee_id="bob"), "line 2: says invalid more_hours_than_a_day 100 of payee bob"),
        (row("stored", 0, reason="lockstep"), "line 2: says invalid lockstep 100"),
        (row("stored", 0, points="many"), "line 2: a field is not valid"),
        (lambda found: found.say(1, "review", 50), "line 2: says review .* and the rules say nothing of it"),
        (row("views", 1, view_duration=60), "event e01, as the rules .* see it, is another one than among the events"),
        (row("views", 1, payee_id="bob"), "event e01, .* has another length or payee than in the catalogue"),
        (row("views", 1, offset=100), "event e01, as the rules of 2026-10-05 see it, is not one that they saw"),
        (row("views", 1, event_day="2026-10-03"), "is not one that they saw"),
        (row("views", 1, begun="soon"), "judged_views.csv.gz, line 3: a field is not valid"),
        (lambda found: found.views.reverse(), "judged_views.csv.gz, line 3: is out of order"),
        (lambda found: found.stored.reverse(), "traffic_outcomes.csv.gz, line 3: is out of order"),
        (lambda found: found.events.pop((0, 1)) and None, "event e01, as the rules .* see it, is not among the events"),
        (event(1, "rejected:clock_suspect"), "event e01, .* is rejected:clock_suspect and cannot be counted"),
        (event(2, "billable"), "event e02 of 2026-10-05 is billable, and the outcome of its traffic is invalid"),
        (event(2, "invalid_traffic:robot"), "event e02 .* is invalid_traffic:robot, and the outcome .* is invalid"),
        (event(4, "billable"), "event e04 of 2026-10-05 is billable, and the outcome of its traffic is review"),
        (event(4, "invalid_traffic:impossible"), "event e04 .* and the outcome of its traffic is review"),
        (event(1, "under_review"), "event e01 of 2026-10-05 is under_review, and the outcome of its traffic is none"),
        (event(1, "invalid_traffic:robot"), "event e01 .* and the outcome of its traffic is none"),
        (event(1, "traffic_pending"), "event e01 .* is traffic_pending, and the outcome of its traffic is none"),
        (event(200, "billable"), "event late of 2026-10-05 is billable, and the outcome of its traffic is none"),
        (lambda found: found.views.append({**found.views[-1], "judged_day": "2026-10-06"}), "has rows of 2026-10-06"),
        (lambda found: found.rules.update(policy_version=7), "was judged by traffic policy 7, which is not among"),
    ],
)
def test_each_wrong_row_is_named(auditors: Auditors, change: Callable[[Auditors], None], answer: str) -> None:
    change(auditors)
    with pytest.raises(verifier.WrongError, match=answer):
        auditors.check()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A payee's bundle, with the public key beside it."""
    key, month = create_key(tmp_path / "key"), random_month(4)
    month.write(tmp_path / "bundle", signed(month.records, key, len(month.records)))
    (tmp_path / "key.pub").write_text(key.public_key)
    return tmp_path / "bundle"


def verified(bundle: Path, *words: str) -> int:
    return int(verifier.main([str(bundle), "--pubkey", str(bundle.parent / "key.pub"), *words]))


def change_manifest(bundle: Path, **values: object) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_text(json.dumps(manifest | values))


def test_a_payees_bundle_has_no_threshold_and_verifies(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("hours_review", "lockstep_share"):
        assert name.encode() not in b"".join(file.read_bytes() for file in bundle.iterdir())
    assert b"policy,traffic 1," in (bundle / "leaves.csv").read_bytes()
    assert verified(bundle, "--for", "payee") == 0
    assert "everything agrees in this bundle for the payee: " in capsys.readouterr().out
    assert verified(bundle, "--json") == 0
    assert json.loads(capsys.readouterr().out)["for"] == "payee"


def test_the_wrong_bundle_for_a_reader_is_refused_in_one_sentence(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(bundle, "--for", "auditor") == 2
    assert capsys.readouterr().err == (
        "viewledger-verify: the bundle is for a payee and has no threshold of traffic, so no reason can be found "
        "again; `billing proof export --for auditor` writes one\n"
    )
    change_manifest(bundle, **{"for": "auditor"})
    assert verified(bundle) == 1
    assert "judged_views.csv.gz: the file is missing" in capsys.readouterr().out
    for name in verifier.AUDITOR_FILES:
        (bundle / name).touch()
    assert verified(bundle, "--for", "payee") == 2
    assert "is for an auditor and has thresholds of traffic, which payees must not know" in capsys.readouterr().err
    change_manifest(bundle, **{"for": "everybody"})
    assert verified(bundle) == 2
    assert "does not say for whom it is" in capsys.readouterr().err


def test_a_bundle_of_an_earlier_release_is_for_nobody_by_name(tmp_path: Path) -> None:
    """It has every record, the thresholds of traffic among them, and is checked as before."""
    key, month = create_key(tmp_path / "key"), random_month(4)
    month.write(tmp_path / "bundle", signed(month.records, key, len(month.records)), lambda _: True)
    (tmp_path / "key.pub").write_text(key.public_key)
    assert verified(tmp_path / "bundle") == 1, "a payee's bundle with thresholds"
    change_manifest(tmp_path / "bundle", format="viewledger-bundle/3")
    assert verified(tmp_path / "bundle") == 0
    assert verified(tmp_path / "bundle", "--for", "payee") == 2
