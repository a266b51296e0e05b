"""Clients of Redis by a URL: of one server, or of the server that Sentinels name at the moment.

    redis://user:password@host:6379/0                             one server
    redis+sentinel://user:password@one:26379,two:26379/service/0  the master of a service, as Sentinels know it

`rediss` in the place of `redis` is TLS, for Sentinels as well. After a `?` come `ssl_ca_certs`, `ssl_certfile` and
`ssl_keyfile` (paths of PEM files), and `sentinel_username` and `sentinel_password`, where Sentinels have a password.
"""

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

SENTINEL_PORT = 26379
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


def connected(url: str, timeout_seconds: float) -> redis.Redis:
    """Return a client that connects at the first call and retries nothing."""
    place = _Place.of(url, timeout_seconds, Retry(NoBackoff(), 0))
    if not place.sentinels:
        return redis.Redis(**place.settings)
    sentinel: Any = Sentinel(place.sentinels, sentinel_kwargs=place.of_sentinels, **place.settings)  # type: ignore[no-untyped-call]
    master: redis.Redis = sentinel.master_for(place.service)
    return master


def connected_async(url: str, timeout_seconds: float) -> redis.asyncio.Redis:
    """Return the same for an event loop."""
    place = _Place.of(url, timeout_seconds, AsyncRetry(NoBackoff(), 0))
    if not place.sentinels:
        return redis.asyncio.Redis(**place.settings)
    sentinel: Any = AsyncSentinel(place.sentinels, sentinel_kwargs=place.of_sentinels, **place.settings)  # type: ignore[no-untyped-call]
    master: redis.asyncio.Redis = sentinel.master_for(place.service)
    return master


@dataclass(frozen=True)
class _Place:
    """What a URL says, in the words of redis-py."""

    settings: dict[str, Any]
    """Of connections to servers."""
    sentinels: list[tuple[str, int]]
    """Empty for one server."""
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
        service, _, database = path.partition("/") if kind else ("", "", path)
        settings: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
            f"{plain}://{user}{'@' if user else ''}{hosts.partition(',')[0]}/{database}?{query}"
        )
        settings.pop("connection_class", None)
        common = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds, "retry": retry}
        if plain == "rediss":
            common |= {"ssl": True, **{name: value for name, value in settings.items() if name.startswith("ssl_")}}
        own = {name.removeprefix("sentinel_"): settings.pop(name) for name in _OF_SENTINELS if name in settings}
        if not kind:
            return cls(settings | common, [], {}, service)
        del settings["host"]
        settings.pop("port", None)
        return cls(settings | common, [_host_and_port(each) for each in hosts.split(",")], own | common, service)


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    return host.strip("[]"), int(port or SENTINEL_PORT)
