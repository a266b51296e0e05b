"""The network of a request's client, the only part of its address that is kept. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IPV4_PREFIX_LENGTH = 24
IPV6_PREFIX_LENGTH = 48
SHORT_LENGTH_MAX = 64
"""No address with its zone and prefix length is longer in practice."""

Network = str
"""A network in the form `192.0.2.0/24`."""


def network_of(text: str) -> Network | None:
    """Return the /24 (IPv4) or /48 (IPv6) that holds an address or a smaller network; None for anything else.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4; a zone (`%eth0`) is dropped.
    """
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


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: frozenset[str]) -> str | None:
    """Return the address that a request came from.

    That is the peer's, unless the peer is a trusted proxy: then `X-Forwarded-For` (one entry per header line) is read
    from its end, where our own proxies write, up to the first address that is not a trusted proxy. Entries before
    it could have been invented by the client.
    """
    if peer is None or not trusted_proxies or _known_as(peer) not in trusted_proxies:
        return peer
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
    for hop in reversed(hops):
        if _known_as(hop) not in trusted_proxies:
            return hop
    return hops[0] if hops else peer


def trusted_proxies(text: str) -> frozenset[str]:
    """Parse a list of IP addresses separated by commas; an empty text trusts no proxy.

    Raises:
        ValueError: the sentence names the entry that is not an address.
    """
    found = set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.add(str(plain(ip_address(entry))))
        except ValueError as error:
            raise ValueError(f"{entry!r} is not an IP address; give addresses separated by commas") from error
    return frozenset(found)


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return an IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) as IPv4."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _known_as(text: str) -> str:
    try:
        return str(plain(ip_address(text)))
    except ValueError:
        return text
