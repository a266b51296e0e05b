"""One Redis that keeps what it acknowledged: append-only file, nothing evicted."""

from collections.abc import Mapping

from jobs.child.accounts import account_of, owned_folder
from jobs.local_stack.probes import redis_answers
from jobs.local_stack.profile import Profile
from jobs.local_stack.unit import Kind, Unit
from jobs.settings.declared.servers import REDIS_URL

MAXMEMORY = "2gb"


def redis_units(profile: Profile, *, program: str, environ: Mapping[str, str]) -> tuple[Unit, ...]:
    """Return the server alone; Redis needs no preparation."""
    account = account_of("redis")
    folder = owned_folder(profile.folder / "redis", account)
    settings = {
        "bind": "127.0.0.1",
        "port": profile.ports.redis,
        "dir": folder,
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",  # a lost second is replayed from the log, from the position stored with the counts
        "save": '""',
        "maxmemory": MAXMEMORY,
        "maxmemory-policy": "noeviction",  # a count must be refused with an error, never dropped silently
        "databases": 64,  # tests take one each
    }
    config = profile.write_config("redis/redis.conf", "".join(f"{name} {value}\n" for name, value in settings.items()))
    url = REDIS_URL.read(profile.environment())
    return (
        Unit(
            name="redis",
            kind=Kind.SERVER,
            command=(program, str(config)),
            environ=environ,
            probe=lambda: redis_answers(url),
            account=account,
            port=profile.ports.redis,
        ),
    )
