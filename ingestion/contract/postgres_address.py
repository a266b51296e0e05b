"""PostgreSQL as its clients are given it: the URL says where the servers listen, who connects, and what is trusted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote

PRIMARY = "primary"
_SCHEME = re.compile(r"postgres(ql)?://", re.ASCII)
_SERVER = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?", re.ASCII)
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VALUES: Mapping[str, tuple[str, ...]] = {
    "sslmode": _MODES,
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": ("any", PRIMARY, "read-write"),
}
_OF_JAVA = {
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "channel_binding": "channelBinding",
    "gssencmode": "gssEncMode",
    "target_session_attrs": "targetServerType",
}
"""A parameter of libpq → the property of Java's client that means the same, with the same values."""
_listed = ", ".join(_OF_JAVA)
_OUR_OWN = (
    "application_name", "client_encoding", "connect_timeout", "fallback_application_name", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "options", "tcp_user_timeout",
)  # fmt: skip


@dataclass(frozen=True)
class PostgresAddress:
    """One server, or several of which one is the primary; a login; and parameters that both clients have."""

    servers: tuple[str, ...]
    """Each as `host` or `host:port`, an IPv6 address in brackets."""
    database: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    """By libpq's names, those that Java has as well."""

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the address that a URL names; raise ValueError, which says what is wrong and shows no value.

        `read-write` becomes `primary`: sessions that may only read are made on the primary as well.
        """
        if not (scheme := _SCHEME.match(url)):
            raise ValueError("is not a usable URL")
        place, _, query = url[scheme.end() :].partition("?")
        authority, _, database = place.partition("/")
        login, _, hosts = authority.rpartition("@")
        user, _, password = login.partition(":")
        parameters = _parameters(query)
        servers = tuple(map(_server, hosts.split(",")))
        if len(servers) > 1 and parameters.get("target_session_attrs") != PRIMARY:
            raise ValueError("names several servers without target_session_attrs=primary, which finds the one to use")
        if "@" in login or "/" in database:
            raise ValueError("is not a usable URL")
        return cls(servers, unquote(database), unquote(user), unquote(password), parameters)

    @property
    def url(self) -> str:
        """Return it as libpq is given it."""
        database = f"/{_quoted(self.database)}" if self.database else ""
        return f"postgresql://{self._login}{','.join(self.servers)}{database}{_query(self.parameters)}"

    @property
    def of_java(self) -> str:
        """Return it as Java's client is given it, without user and password."""
        parameters = {_OF_JAVA[name]: value for name, value in self.parameters.items()}
        return f"jdbc:postgresql://{','.join(self.servers)}/{_quoted(self.database)}{_query(parameters)}"

    def at(self, host: str, port: int) -> "PostgresAddress":
        """Return the address of one server alone, as a connection names it."""
        return replace(self, servers=(f"[{host}]:{port}" if ":" in host else f"{host}:{port}",))

    def with_login_of(self, other: "PostgresAddress") -> "PostgresAddress":
        """Return the same place with another's user and password."""
        return replace(self, user=other.user, password=other.password)

    @property
    def _login(self) -> str:
        password = f":{_quoted(self.password)}" if self.password else ""
        return f"{_quoted(self.user)}{password}@" if self.user or password else ""


def next_server_first(url: str) -> str:
    """Return a URL with its first server last.

    libpq bounds the time of each server only where it waits itself. A client that waits for it, and gives up,
    begins with the next one, or would never get past a server that accepts and is silent.
    """
    address = PostgresAddress.of(url)
    return replace(address, servers=(*address.servers[1:], address.servers[0])).url


def _server(text: str) -> str:
    found = _SERVER.fullmatch(text)
    if not found or not 1 <= int(found["port"] or 1) <= 65535:
        raise ValueError("is not a usable URL")
    return text


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name in _OUR_OWN:
            raise ValueError(f"has the parameter {name}, which viewledger sets itself")
        if not re.fullmatch(r"\w{1,40}", name, re.ASCII) or name in parameters:
            raise ValueError("is not a usable URL")
        if name not in _OF_JAVA:
            raise ValueError(f"has the parameter {name}, which is none of those that Java has as well: {_listed}")
        parameters[name] = _value(name, unquote(value))
    return parameters


def _value(name: str, value: str) -> str:
    allowed = _VALUES.get(name)
    if allowed and value not in allowed:
        raise ValueError(f"has a wrong {name}, which must be one of {', '.join(allowed)}")
    if not allowed and not value.startswith("/"):
        raise ValueError(f"has a wrong {name}, which must be an absolute path")
    return PRIMARY if value == "read-write" else value


def _query(parameters: Mapping[str, str]) -> str:
    return (
        "?" + "&".join(f"{name}={quote(value, safe='/')}" for name, value in parameters.items()) if parameters else ""
    )


def _quoted(text: str) -> str:
    return quote(text, safe="")
