"""The kinds of settings whose values are addresses: of machines, servers and pages."""

import re
from dataclasses import KW_ONLY, dataclass
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from ingestion.contract.postgres_address import PostgresAddress
from jobs.settings.kinds import Setting, Several

OPTIONS_OF_REDIS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "sentinel_username", "sentinel_password")
PATHS_OF_REDIS = {"": r"\d{0,5}", "+sentinel": r"[^/]+(/\d{1,5})?", "+cluster": "0?"}
"""How the scheme goes on → what may stand behind the hosts: a database; a service and a database; Clusters have one."""
_is_origin = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9]\d{0,4})?", re.ASCII).fullmatch


class Addresses(Several):
    """IP addresses, separated by commas."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "an IP address, or several with commas"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the addresses, in their notation."""
        return tuple(str(ip_address(part)) for part in map(str.strip, text.split(",")) if part)


class Origins(Several):
    """Origins of web pages as browsers write them, separated by commas, or `*` for every one."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "like https://www.example.com, without a path (several with commas), or * alone"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the origins, in small letters and without a default port; raise ValueError."""
        origins = tuple(part.strip().lower() for part in text.split(","))
        if origins != ("*",) and not all(map(_is_origin, origins)):
            raise ValueError
        return tuple(re.sub("(?<=^http):(.*):80$|(?<=^https):(.*):443$", r":\1\2", each) for each in origins)


class HostPorts(Several):
    """One or more `host:port`, separated by commas."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "host:port, or several with commas"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return each `host:port`."""
        return _host_ports(text)


def _host_ports(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    for part in parts:
        host, _, port = part.rpartition(":")
        if not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or not 1 <= int(port) <= 65535:
            raise ValueError
    return parts


class SparkMaster(Setting[str]):
    """Cores of this machine, or a cluster's manager."""

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return "local[N] or local[*], spark://host:port (several with commas), or yarn"

    def parse(self, text: str) -> str:
        """Return Spark's name for it."""
        if text != "yarn" and not re.fullmatch(r"local\[(\*|[1-9]\d{0,2})\]", text, re.ASCII):
            if not text.startswith("spark://"):
                raise ValueError
            _host_ports(text.removeprefix("spark://"))
        return text


@dataclass(frozen=True, eq=False, repr=False)
class Url(Setting[str]):
    """A URL of one of the schemes with a host. A refusal never repeats the value: it may hold a password."""

    _: KW_ONLY
    schemes: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return f"like {' or '.join(f'{scheme}://host:port' for scheme in self.schemes)}"

    def parse(self, text: str) -> str:
        """Return the URL; `urlsplit` raises ValueError for a bracket or a port that is not a number."""
        parts = urlsplit(text)
        if parts.scheme not in self.schemes or not parts.hostname or parts.port == 0:
            raise ValueError
        return text

    def _refusal(self, text: str) -> str:
        return f"{self.name} is not a usable URL; it must be {self.allowed}"


class SiteUrl(Url):
    """A URL of a site alone: paths of the product are added to it."""

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return f"{super().allowed}, without a path"

    def parse(self, text: str) -> str:
        """Return the URL without a slash at its end; raise ValueError."""
        url = super().parse(text).removesuffix("/")
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.path or "?" in url or "#" in url:
            raise ValueError
        return url


class RedisUrl(Url):
    """A URL of one Redis, of Sentinels (several hosts, a service, perhaps a database), or of servers of a Cluster."""

    @property
    def allowed(self) -> str:
        """Return the forms in words."""
        return (
            "like redis://host:port/0, redis+sentinel://one:port,two:port/service/0 or "
            "redis+cluster://one:port,two:port, with rediss for TLS and "
            f"nothing behind a ? but {', '.join(OPTIONS_OF_REDIS)}"
        )

    def parse(self, text: str) -> str:
        """Return the URL; raise ValueError."""
        scheme, _, rest = text.partition("://")
        plain, plus, kind = scheme.partition("+")
        form = PATHS_OF_REDIS.get(plus + kind)
        if plain not in self.schemes or form is None:
            raise ValueError
        place, _, query = rest.partition("?")
        authority, _, path = place.partition("/")
        hosts = authority.rpartition("@")[2].split(",")
        for host in hosts:
            if not urlsplit(f"//{host}").hostname or urlsplit(f"//{host}").port == 0:
                raise ValueError
        options = parse_qs(query, keep_blank_values=True, strict_parsing=True) if query else {}
        if not re.fullmatch(form, path) or (not kind and len(hosts) > 1) or set(options) - set(OPTIONS_OF_REDIS):
            raise ValueError
        return text


class PostgresUrl(Setting[str]):
    """A URL of PostgreSQL; a refusal never repeats it."""

    @property
    def allowed(self) -> str:
        """Return the form in words."""
        return "like postgresql://user:password@host:port/database (docs/operate/availability.md has every form)"

    def parse(self, text: str) -> str:
        """Return the URL; raise ValueError."""
        return PostgresAddress.of(text).url

    def _refusal(self, text: str) -> str:
        try:
            self.parse(text)
        except ValueError as error:
            return f"{self.name} {error}; it must be {self.allowed}"
        return super()._refusal(text)
