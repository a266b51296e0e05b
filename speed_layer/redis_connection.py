"""The servers of Redis by a URL: one, the one that Sentinels name at the moment, or those of a Cluster.

    redis://user:password@host:6379/0                             one server
    redis+sentinel://user:password@one:26379,two:26379/service/0  the master of a service, as Sentinels know it
    redis+cluster://user:password@one:6379,two:6379               the masters of a Cluster, by some of its servers

`rediss` in the place of `redis` is TLS, for Sentinels as well. After a `?` come `ssl_ca_certs`, `ssl_certfile` and
`ssl_keyfile` (paths of PEM files), and `sentinel_username` and `sentinel_password`, where Sentinels have a password.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from speed_layer.redis_cluster import Address, AsyncCluster, Cluster

REDIS_PORT, SENTINEL_PORT = 6379, 26379
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


class Single:
    """One server, or the master of a service: it holds every key."""

    spreads_keys = False

    def __init__(
        self, client: redis.Redis, replicas: Callable[[], Mapping[str, redis.Redis]] = dict, *, name: str = "it"
    ) -> None:
        self._client, self._replicas, self._name = client, replicas, name

    def holding(self, keys: Sequence[str]) -> list[redis.Redis]:
        """Return the client once for each key."""
        return [self._client] * len(keys)

    def masters(self) -> list[redis.Redis]:
        """Return the client."""
        return [self._client]

    def every(self) -> Mapping[str, redis.Redis]:
        """Return a name → client of every server, replicas as well."""
        return {self._name: self._client, **self._replicas()}

    def look_again(self) -> None:
        """Do nothing: a new connection goes to the master of that moment."""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncSingle:
    """The same for an event loop."""

    spreads_keys = False

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def holding(self, keys: Sequence[str]) -> list[redis.asyncio.Redis]:
        """Return the client once for each key."""
        return [self._client] * len(keys)

    def look_again(self) -> None:
        """Do nothing: a new connection goes to the master of that moment."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def connected(url: str, timeout_seconds: float) -> Single | Cluster:
    """Return the servers' clients, which connect at the first call and retry nothing."""
    place = _Place.of(url, timeout_seconds, Retry(NoBackoff(), 0))

    def client(address: Address) -> redis.Redis:
        return redis.Redis(**place.settings | {"host": address[0], "port": address[1]})

    if place.kind == "cluster":
        return Cluster(place.hosts, client)
    if place.kind == "":
        return Single(client(place.hosts[0]), name=_name(place.hosts[0]))
    sentinel: Any = Sentinel(place.hosts, sentinel_kwargs=place.of_sentinels, **place.settings)  # type: ignore[no-untyped-call]
    return Single(
        sentinel.master_for(place.service),
        lambda: {_name(address): client(address) for address in sentinel.discover_slaves(place.service)},
        name=f"the master of {place.service}",
    )


def connected_async(url: str, timeout_seconds: float) -> AsyncSingle | AsyncCluster:
    """Return the same for an event loop."""
    place = _Place.of(url, timeout_seconds, AsyncRetry(NoBackoff(), 0))

    def client(address: Address) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(**place.settings | {"host": address[0], "port": address[1]})

    if place.kind == "cluster":
        return AsyncCluster(place.hosts, client)
    if place.kind == "":
        return AsyncSingle(client(place.hosts[0]))
    sentinel: Any = AsyncSentinel(place.hosts, sentinel_kwargs=place.of_sentinels, **place.settings)  # type: ignore[no-untyped-call]
    return AsyncSingle(sentinel.master_for(place.service))


@dataclass(frozen=True)
class _Place:
    """What a URL says, in the words of redis-py."""

    kind: str
    """Empty for one server, else `sentinel` or `cluster`."""
    hosts: list[Address]
    """Of servers, or of Sentinels."""
    settings: dict[str, Any]
    """Of connections to servers."""
    of_sentinels: dict[str, Any]
    """Of connections to Sentinels."""
    service: str

    @classmethod
    def of(cls, url: str, timeout_seconds: float, retry: Any) -> Self:
        scheme, _, rest = url.partition("://")
        plain, _, kind = scheme.partition("+")
        # not by `urlsplit`: newer ones refuse several hosts with an IPv6 address among them
        place, _, query = rest.partition("?")
        authority, _, path = place.partition("/")
        user, _, hosts = authority.rpartition("@")
        service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
        settings: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
            f"{plain}://{user}{'@' if user else ''}{hosts.partition(',')[0]}/{database}?{query}"
        )
        for name in ("connection_class", "host", "port"):
            settings.pop(name, None)
        common = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds, "retry": retry}
        if plain == "rediss":
            common |= {"ssl": True, **{name: value for name, value in settings.items() if name.startswith("ssl_")}}
        own = {name.removeprefix("sentinel_"): settings.pop(name) for name in _OF_SENTINELS if name in settings}
        port = SENTINEL_PORT if kind == "sentinel" else REDIS_PORT
        addresses = [_host_and_port(each, port) for each in hosts.split(",")]
        return cls(kind, addresses, settings | common, own | common, service)


def _host_and_port(text: str, default: int) -> Address:
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    return host.strip("[]"), int(port or default)


def _name(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
