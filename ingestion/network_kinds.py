"""The kind of network that an address belongs to, by dated lists. Pure, but for reading the lists once.

The kind is decided from the whole address, which nothing keeps. It is evidence and never a verdict alone: honest people
use relays, VPNs and machines in data centres.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path

from ingestion.contract.dated_lists import DatedList, ListError, in_force, read_lists
from ingestion.contract.networks import SHORT_LENGTH_MAX, plain

FOLDER = Path(__file__).with_name("lists")
KINDS = ("relay", "vpn", "data_centre")
"""In the order in which lists are asked: that of data centres has the others' networks, too."""


class Ranges:
    """Addresses of one version of IP as sorted ranges that do not overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """`ranges` are pairs of the first and the last address, in any order."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        self._firsts = [first for first, _ in merged]
        self._lasts = [last for _, last in merged]

    def __contains__(self, address: int) -> bool:
        """Return whether an address lies in one of the ranges."""
        index = bisect_right(self._firsts, address) - 1
        return index >= 0 and address <= self._lasts[index]


@dataclass(frozen=True)
class _ListedKind:
    text: str
    by_version: dict[int, Ranges]


class NetworkKinds:
    """Knows the kind of networks, on each day by the lists in force then."""

    def __init__(self, lists: Sequence[DatedList]) -> None:
        self._lists = tuple(lists)
        self._ranges = {id(each): _ranges_of(each) for each in self._lists}
        self._on: tuple[date, tuple[_ListedKind, ...]] | None = None
        self._kind_of_short = lru_cache(maxsize=10_000)(self._kind_of)

    def kind_of(self, address: str | None, on: date) -> str | None:
        """Return the kind and the version of its list, `relay/1`; None for a network that no list has.

        `on` is the day of receipt.
        """
        if address is None:
            return None
        # parsing an address costs as much as reading an event; only short texts are kept, so that memory is bounded
        return (self._kind_of_short if len(address) <= SHORT_LENGTH_MAX else self._kind_of)(address, on)

    def _kind_of(self, address: str, on: date) -> str | None:
        try:
            found = plain(ip_address(address.partition("%")[0]))
        except ValueError:
            return None
        number = int(found)
        for kind in self._in_force(on):
            if number in kind.by_version[found.version]:
                return kind.text
        return None

    def _in_force(self, on: date) -> tuple[_ListedKind, ...]:
        if self._on is None or self._on[0] != on:
            now = in_force(self._lists, on)
            listed = [now[name] for name in KINDS if name in now]
            self._on = on, tuple(_ListedKind(f"{each.name}/{each.version}", self._ranges[id(each)]) for each in listed)
        return self._on[1]


NO_KINDS = NetworkKinds(())


def shipped_kinds() -> NetworkKinds:
    """Return the kinds by the lists that came with this program; raise ListError if one is not what was shipped."""
    return NetworkKinds(read_lists(FOLDER))


def _ranges_of(networks: DatedList) -> dict[int, Ranges]:
    found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for line in networks.lines:
        try:
            network = ip_network(line)
        except ValueError as error:
            name = f"list {networks.name} {networks.version}"
            raise ListError(f"{name} has a line that is not a network: {line!r}; install the program again") from error
        found[network.version].append((int(network.network_address), int(network.broadcast_address)))
    return {version: Ranges(ranges) for version, ranges in found.items()}
