"""What a URL of Redis leads to; nothing connects."""

import asyncio
import inspect
from typing import Any

import pytest

from jobs.errors import CommandError
from jobs.settings.declared.servers import REDIS_URL
from speed_layer.redis_connection import connected, connected_async

SENTINELS = "redis+sentinel://speed:p%40ss@one:1,two,[::1]:3/views/2?sentinel_password=s%3D1"


def client_of(servers: Any) -> Any:
    """The client of the server that holds any key."""
    held = servers.holding(["any"])
    (client,) = asyncio.run(held) if inspect.isawaitable(held) else held
    return client


def settings_of(client: Any) -> dict[str, Any]:
    return dict(client.connection_pool.connection_kwargs)


@pytest.mark.parametrize("connect", [connected, connected_async])
def test_one_server_is_connected_to_as_its_url_says(connect: Any) -> None:
    found = settings_of(client_of(connect("rediss://speed:p%40ss@h:6390/2?ssl_ca_certs=/ca.pem", 3.0)))
    wanted = {"username": "speed", "password": "p@ss", "host": "h", "port": 6390, "db": 2, "ssl_ca_certs": "/ca.pem"}
    assert {name: found[name] for name in wanted} == wanted
    assert found["socket_timeout"] == found["socket_connect_timeout"] == 3.0


@pytest.mark.parametrize("connect", [connected, connected_async])
def test_sentinels_are_asked_for_the_master_of_the_service(connect: Any) -> None:
    client = client_of(connect(SENTINELS, 3.0))
    pool = client.connection_pool
    assert pool.service_name == "views"
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == [("one", 1), ("two", 26379), ("::1", 3)]
    assert {each["password"] for each in asked} == {"s=1"}
    found = settings_of(client)
    assert (found["username"], found["password"], found["db"]) == ("speed", "p@ss", 2)
    assert "sentinel_password" not in found


@pytest.mark.parametrize("connect", [connected, connected_async])
def test_tls_is_for_servers_and_sentinels(connect: Any) -> None:
    client = client_of(connect("rediss+sentinel://one:1,two:2/views?ssl_ca_certs=/ca.pem", 3.0))
    assert "SSL" in client.connection_pool.connection_class.__name__
    for sentinel in client.connection_pool.sentinel_manager.sentinels:
        assert "SSL" in sentinel.connection_pool.connection_class.__name__
        assert sentinel.connection_pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"


@pytest.mark.parametrize("connect", [connected, connected_async])
def test_servers_of_a_cluster_are_connected_to_as_the_url_says(connect: Any) -> None:
    servers = connect("rediss+cluster://speed:p%40ss@one:1,two,[::1]:3?ssl_ca_certs=/ca.pem", 3.0)
    assert servers._named == [("one", 1), ("two", 6379), ("::1", 3)]
    found = settings_of(servers._client(("elsewhere", 7)))
    wanted = {"username": "speed", "password": "p@ss", "host": "elsewhere", "port": 7, "ssl_ca_certs": "/ca.pem"}
    assert {name: found[name] for name in wanted} == wanted
    assert found["socket_timeout"] == found["socket_connect_timeout"] == 3.0
    assert servers._client(("elsewhere", 7)) is servers._client(("elsewhere", 7)), "one client for each server"


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:1",
        "redis://h:1/",
        "redis://h:1/0",
        "rediss://u:p@h:1/0?ssl_ca_certs=/ca.pem&ssl_certfile=/c&ssl_keyfile=/k",
        "redis+sentinel://one,two:2/views",
        SENTINELS,
        "redis+cluster://one",
        "redis+cluster://u:p@one:1,two:2,[::1]:3/0",
        "rediss+cluster://one:1/?ssl_ca_certs=/ca.pem",
    ],
)
def test_a_url_that_redis_can_have_is_taken(url: str) -> None:
    assert REDIS_URL.read({REDIS_URL.name: url}) == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://one:1,two:2/0",
        "redis://h:1/secret",
        "redis://h:0/0",
        "redis://h:x/0",
        "redis+://h:1/0",
        "redis+secret://h:1/0",
        "http://h:1/0",
        "redis+cluster://",
        "redis+cluster://one:1,",
        "redis+cluster://one:1/1",
        "redis+cluster://one:1/secret",
        "redis+cluster://one:0",
        "redis+sentinel://one:1",
        "redis+sentinel://one:1,/views",
        "redis+sentinel://one:1/views/secret",
        "rediss://h:1/0?ssl_cert_reqs=none",
        "redis://h:1/0?secret",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(CommandError, match=r"^VIEWLEDGER_REDIS_URL is not a usable URL; .* redis://") as caught:
        REDIS_URL.read({REDIS_URL.name: url})
    assert "secret" not in str(caught.value)
