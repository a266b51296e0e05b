"""The client's address of a request that may have come through proxies. Pure."""

from collections.abc import Sequence
from ipaddress import ip_address

from ingestion.contract.networks import plain


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


def _known_as(text: str) -> str:
    try:
        return str(plain(ip_address(text)))
    except ValueError:
        return text
