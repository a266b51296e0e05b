"""The kind of a client's network: by the whole address, by the lists of the day, and never by what a sender says."""

import json
import random
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network

import pytest
from starlette.testclient import TestClient

from ingestion.contract.dated_lists import DatedList, ListError
from ingestion.http_collector import Collector, collector_app
from ingestion.intake import Origin, arrival
from ingestion.network_kinds import KINDS, NO_KINDS, NetworkKinds, shipped_kinds
from tests.ingestion_fakes import KEY, NOW, FakeEventLog, event_json

DAY = date(2026, 11, 28)


def listed(name: str, *networks: str, version: int = 1, first_on: date = date(2026, 1, 1)) -> DatedList:
    return DatedList(name, version, first_on, "a test", None, "MIT", "", networks)


KNOWN = NetworkKinds(
    [
        listed("data_centre", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),
        listed("vpn", "198.51.100.128/25", "203.0.113.7/32"),
        listed("relay", "198.51.100.192/28", "2001:db8:1::/48"),
    ]
)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("198.51.100.1", "data_centre/1"),
        ("198.51.100.128", "vpn/1"),
        ("198.51.100.192", "relay/1"),
        ("198.51.100.208", "vpn/1"),
        ("203.0.113.6", "data_centre/1"),
        ("203.0.113.7", "vpn/1"),
        ("::ffff:203.0.113.7", "vpn/1"),
        ("2001:db8::1%eth0", "data_centre/1"),
        ("2001:db8:1::1", "relay/1"),
        ("198.51.101.0", None),
        ("2001:db9::", None),
        ("unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_the_whole_address_decides_and_relays_come_before_the_data_centres_that_have_them(
    address: str | None, kind: str | None
) -> None:
    assert KNOWN.kind_of(address, DAY) == kind


def test_a_network_is_found_exactly_where_one_of_the_list_has_it() -> None:
    rng = random.Random(3)
    networks = [ip_network((rng.randrange(1 << 16), rng.randint(18, 32)), strict=False) for _ in range(300)]
    kinds = NetworkKinds([listed("vpn", *map(str, networks))])
    for number in range(0, 1 << 16, 7):
        address = ip_address(number)
        assert (kinds.kind_of(str(address), DAY) is not None) == any(address in network for network in networks)


def test_the_day_of_receipt_chooses_the_version() -> None:
    kinds = NetworkKinds([listed("vpn", "192.0.2.1"), listed("vpn", "192.0.2.2", version=2, first_on=DAY)])
    before = DAY.replace(day=27)
    assert [kinds.kind_of(f"192.0.2.{host}", before) for host in (1, 2)] == ["vpn/1", None]
    assert [kinds.kind_of(f"192.0.2.{host}", DAY) for host in (1, 2)] == [None, "vpn/2"]
    assert kinds.kind_of("192.0.2.1", before) == "vpn/1", "a clock may go back"


def test_the_shipped_lists_can_be_read_and_have_every_kind() -> None:
    kinds = shipped_kinds()
    assert {name.partition("/")[0] for name in (kinds.kind_of(each, DAY) or "" for each in ADDRESSES)} == set(KINDS)


ADDRESSES = ("104.28.28.3", "2.26.157.9", "1.12.3.4")


def test_a_line_that_is_not_a_network_is_refused_in_one_sentence() -> None:
    with pytest.raises(ListError, match=r"list vpn 1 has a line that is not a network: '10.0.0.1/33'; install"):
        NetworkKinds([listed("vpn", "10.0.0.1/33")])


def test_the_collector_writes_the_kind_of_the_address_and_no_sender_can() -> None:
    event_log = FakeEventLog()
    collector = Collector(event_log, lambda: NOW, KEY, trusted_proxies=frozenset({"testclient"}), network_kinds=KNOWN)
    client = TestClient(collector_app(collector))
    for host in ("198.51.100.193", "192.0.2.1"):
        sent = event_json(network_kind="forged", client_network="8.8.8.0/24")
        headers = {"content-type": "application/json", "x-forwarded-for": host}
        assert client.post("/v1/events", content=sent, headers=headers).status_code == 202
    first, second = (json.loads(each.value) for each in event_log.events)
    assert (first["client_network"], first["network_kind"]) == ("198.51.100.0/24", "relay/1")
    assert second["client_network"] == "192.0.2.0/24"
    assert "network_kind" not in second


def test_an_event_of_a_file_keeps_no_kind() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    assert "network_kind" in arrival(now, None, broker_time=now).absent
    assert "network_kind" in arrival(now, Origin(), broker_time=now).absent
    assert NO_KINDS.kind_of("198.51.100.1", DAY) is None
