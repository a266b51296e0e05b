"""The demo's traffic through the collector's rules and the counting rule: its truth holds, with plays and without."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from batch_layer.traffic.day_events import DayEvent
from batch_layer.traffic.day_rules import day_outcomes
from ingestion.contract.attestation import Attested, attestation_of
from ingestion.contract.counting import Received, Verdict, day_of, settle
from ingestion.contract.day_traffic import JudgedTraffic, TrafficOutcome
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import Reason, RejectedEvent, ViewEvent
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.offsets import LogPlace
from ingestion.contract.priced_fields import country_by
from ingestion.contract.traffic_policy import SHIPPED
from ingestion.contract.traits import TraitsKey, traits_of
from ingestion.intake import Origin, admit, arrival
from jobs.demo.command import make_sample_traffic
from jobs.demo.encoding import encode_for_http, encode_for_kafka
from jobs.demo.maker import LAST_SETTLED_PHASE, PHASES, SHORT_VIDEO_SECONDS, Traffic
from jobs.demo.platform import platform_of
from jobs.local_stack.ports import fixed_ports
from jobs.local_stack.profile import Profile
from jobs.wiring.attestations import read_attestation_keys
from jobs.wiring.plays import read_plays
from jobs.wiring.pseudonyms import read_pseudonym_key
from tests.shipped_policies import shipped_policy_on

NOW = datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a stack that is never started."""
    folder: Path = tmp_path_factory.mktemp("stack")
    return Profile(folder, fixed_ports({})).environment()


@pytest.mark.parametrize("count", [6_000, 60_000])
def test_the_truth_of_the_demo_is_what_the_rules_say_of_its_messages(environment: dict[str, str], count: int) -> None:
    """Also among many others: what is unusual depends on what is usual."""
    traffic = make_sample_traffic(NOW, event_count=count, seed=7)
    key, plays, sign = read_pseudonym_key(environment), read_plays(environment), platform_of(environment)
    attestation_keys = read_attestation_keys(environment)
    sent_at = NOW + timedelta(seconds=30)
    came = arrival(sent_at, Origin("192.0.2.0/24", None), broker_time=sent_at)
    log, refused, attested, values = list[Received](), 0, Counter[Attested](), list[bytes]()
    for phase in PHASES:
        for message in traffic.messages[phase]:
            if message.over_http:
                outcome = admit(encode_for_http(message, sign), came, key, plays)
                if isinstance(outcome, RejectedEvent):
                    refused += 1
                    continue
                value = outcome.value
            else:
                value = encode_for_kafka(message, key)
            attested[attestation_of(value, attestation_keys)] += 1
            log.append(Received(phase, len(log), sent_at, decode_view_event(value)))
            values.append(value)
    assert refused == traffic.truth.refused_by_collector
    assert attested.keys() == {Attested.YES, Attested.NO}
    assert attested[Attested.YES] > count / 3
    log = [each for each in log if each.partition <= LAST_SETTLED_PHASE]
    judged = judged_traffic(log, values, traffic)
    settled = settle(log, {}, shipped_policy_on, traffic=judged)
    assert Counter(each.verdict.value for each in settled.values()) == traffic.truth.settled_verdicts
    views: Counter[str] = Counter()
    for received in log:
        if settled[received.partition, received.offset].verdict is Verdict.COUNTED:
            assert not isinstance(received.decoded, RejectedEvent)
            views[received.decoded.video_id] += 1
    assert views == traffic.truth.settled_views
    became: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for received in log:
        outcome = settled[received.partition, received.offset]
        if isinstance(received.decoded, ViewEvent) and received.decoded.video_id.startswith("demo-"):
            became[received.decoded.video_id][str(outcome.billability or outcome.verdict)] += 1
    for family in traffic.truth.families:
        found = sum((became[each] for each in family.videos), Counter())
        expected = {
            "billable": family.paid,
            "under_review": family.under_review,
            "invalid_traffic": family.invalid,
            "over_cap": family.views - family.paid - family.under_review,
        }
        assert found == {name: count for name, count in expected.items() if count}, family.name
        assert family.paid == 0 if family.is_attack else family.under_review == family.invalid == 0


def test_nobody_watches_more_of_a_video_than_there_is() -> None:
    traffic = make_sample_traffic(NOW, event_count=6_000, seed=7)
    assert len(traffic.short_videos) > 100
    sent = [each for messages in traffic.messages.values() for each in messages if isinstance(each.event, dict)]
    seconds = [each.event["view_duration"] for each in sent if each.event["video_id"] in traffic.short_videos]
    assert max(seconds) == SHORT_VIDEO_SECONDS
    assert any(0 < each < SHORT_VIDEO_SECONDS - 1 for each in seconds), "some leave early"


def judged_traffic(log: Sequence[Received], values: Sequence[bytes], traffic: Traffic) -> JudgedTraffic:
    """Let the plain model of the day rules judge every day of the log."""
    by_day: defaultdict[date, list[DayEvent]] = defaultdict(list)
    counted = settle(log, {}, shipped_policy_on)
    for received, value in zip(log, values, strict=False):
        place, event = (received.partition, received.offset), received.decoded
        if isinstance(event, ViewEvent) and counted[place].verdict is Verdict.COUNTED:
            by_day[day_of(event.timestamp)].append(day_event(place, event, value, traffic))
    outcomes = {
        (each.partition, each.offset): (TrafficOutcome(each.outcome), Reason(each.reason, ""))
        for day in sorted(by_day)
        for each in day_outcomes([*by_day.get(day - timedelta(days=1), ()), *by_day[day]], day, SHIPPED)
    }
    return JudgedTraffic(outcomes)


def day_event(place: LogPlace, event: ViewEvent, value: bytes, traffic: Traffic) -> DayEvent:
    """Return an event as the day rules read it."""
    day = day_of(event.timestamp)
    traits = traits_of(event, value, (day - date(1970, 1, 1)).days, TraitsKey(b"k" * 32))
    return DayEvent(
        *place,
        event_id=str(event.event_id),
        event_day=day,
        happened_at=event.timestamp,
        video_id=event.video_id,
        payee_id=traffic.channel_of.get(event.video_id),
        length_seconds=SHORT_VIDEO_SECONDS if event.video_id in traffic.short_videos else None,
        user_id=event.user_id,
        session_id=event.session_id,
        view_duration=event.view_duration,
        country=country_by(NEWEST, event),
        device_type=event.device_type,
        **{name: value for name, value in traits._asdict().items() if name in DayEvent._fields},
    )
