"""The network of an address, the only part of it that is kept. Pure."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IPV4_PREFIX_LENGTH = 24
IPV6_PREFIX_LENGTH = 48
SHORT_LENGTH_MAX = 64
"""No address with its zone and prefix length is longer in practice."""

Network = str
"""A network in the form `192.0.2.0/24`."""

_is_network = re.compile(
    r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}0/24|(?:[1-9a-f][0-9a-f]{0,3}:){3}:/48", re.ASCII
).fullmatch
"""Most networks in the form that `network_of` gives them. Parsing one takes thirty times as long."""


def network_of(text: str) -> Network | None:
    """Return the /24 (IPv4) or /48 (IPv6) that holds an address or a smaller network; None for anything else.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4; a zone (`%eth0`) is dropped.
    """
    if _is_network(text):
        return text
    # parsing an address costs as much as reading an event; only short texts are kept, so that memory is bounded
    return _network_of_short(text) if len(text) <= SHORT_LENGTH_MAX else _network_of(text)


def _network_of(text: str) -> Network | None:
    address_text, _, length = text.strip().partition("/")
    try:
        address = plain(ip_address(address_text.partition("%")[0]))
    except ValueError:
        return None
    keep = IPV4_PREFIX_LENGTH if address.version == 4 else IPV6_PREFIX_LENGTH
    if length:
        if not (length.isascii() and length.isdigit() and len(length) <= 3):
            return None
        keep = min(keep, int(length))
    return str(ip_network((address, keep), strict=False))


_network_of_short = lru_cache(maxsize=10_000)(_network_of)


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return an IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) as IPv4."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address
