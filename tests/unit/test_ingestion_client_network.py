import pytest

from ingestion.client_network import client_address, trusted_proxies
from ingestion.contract.networks import network_of


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
