import random
from ipaddress import ip_network

import pytest

from ingestion.client_network import client_address, trusted_proxies
from ingestion.contract import networks
from ingestion.contract.networks import network_of

SEED = 20261129


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::5", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        (" 192.0.2.77 ", "192.0.2.0/24"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.0/28", "192.0.2.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.0/99", "192.0.2.0/24"),
        ("192.0.2.0/x", None),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("192.0.2.256", None),
        ("192.0.2.77:443", None),
    ],
)
def test_an_address_is_kept_only_as_its_network(address: str, network: str | None) -> None:
    assert network_of(address) == network


PROXIES = trusted_proxies("10.0.0.1, 10.0.0.2")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # not a trusted proxy: the header is a claim
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),  # 6.6.6.6 was made up by the client
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_a_forwarded_address_is_believed_only_from_trusted_proxies(
    peer: str | None, forwarded_for: list[str], address: str | None
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == address


def test_a_list_of_proxies_with_something_else_in_it_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'proxy\.local' is not an IP address"):
        trusted_proxies("10.0.0.1,proxy.local")


def test_no_list_trusts_nobody() -> None:
    assert trusted_proxies("") == frozenset()


def test_a_network_is_its_own_network_in_whatever_form_it_is_written() -> None:
    rng = random.Random(SEED)
    for _ in range(3_000):
        octets = [rng.choice([0, 1, 9, 10, 99, 100, 199, 200, 249, 250, 255]) for _ in range(3)]
        groups = [rng.choice([0, 1, 15, 16, 255, 4_095, 4_096, 65_535]) for _ in range(3)]
        for text in (f"{'.'.join(map(str, octets))}.0/24", f"{':'.join(f'{group:x}' for group in groups)}::/48"):
            assert network_of(text) == str(ip_network(text)) == networks._network_of(text)


@pytest.mark.parametrize(
    "text", ["256.0.0.0/24", "01.0.0.0/24", "1.2.3.4/24", "1.2.0/24", "1.2.3.0/24\n", "0:0:0::/48"]
)
def test_a_text_that_only_resembles_a_network_is_parsed(text: str) -> None:
    assert network_of(text) == networks._network_of(text)
