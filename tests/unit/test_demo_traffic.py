"""The demo's traffic through the collector's rules and the counting rule: its truth holds, with plays and without."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.contract.attestation import Attested, attestation_of
from ingestion.contract.counting import Received, Verdict, settle
from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import RejectedEvent
from ingestion.intake import Origin, admit, arrival
from jobs.demo.command import make_sample_traffic
from jobs.demo.encoding import encode_for_http, encode_for_kafka
from jobs.demo.platform import platform_of
from jobs.demo.traffic import LAST_SETTLED_PHASE, PHASES
from jobs.local_stack.ports import fixed_ports
from jobs.local_stack.profile import Profile
from jobs.wiring.attestations import read_attestation_keys
from jobs.wiring.plays import read_plays
from jobs.wiring.pseudonyms import read_pseudonym_key

NOW = datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)
EVENTS = 6_000


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a stack that is never started."""
    folder: Path = tmp_path_factory.mktemp("stack")
    return Profile(folder, fixed_ports({})).environment()


def test_the_truth_of_the_demo_is_what_the_rules_say_of_its_messages(environment: dict[str, str]) -> None:
    traffic = make_sample_traffic(NOW, event_count=EVENTS, seed=7)
    key, plays, sign = read_pseudonym_key(environment), read_plays(environment), platform_of(environment)
    attestation_keys = read_attestation_keys(environment)
    sent_at = NOW + timedelta(seconds=30)
    came = arrival(sent_at, Origin("192.0.2.0/24", None), broker_time=sent_at)
    log, refused, attested = list[Received](), 0, Counter[Attested]()
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
    assert refused == traffic.truth.refused_by_collector
    assert attested.keys() == {Attested.YES, Attested.NO}
    assert attested[Attested.YES] > EVENTS / 3
    settled = {place: outcome for place, outcome in settle(log, {}).items() if place[0] <= LAST_SETTLED_PHASE}
    assert Counter(each.verdict.value for each in settled.values()) == traffic.truth.settled_verdicts
    views: Counter[str] = Counter()
    for received in log:
        place = (received.partition, received.offset)
        if place in settled and settled[place].verdict is Verdict.COUNTED:
            assert not isinstance(received.decoded, RejectedEvent)
            views[received.decoded.video_id] += 1
    assert views == traffic.truth.settled_views
