"""What Redis refuses, or would lose, in one sentence each."""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import AskError, AuthenticationError, MovedError, NoPermissionError

from ingestion.contract.unavailable import Part, UnavailableError, one_line

OF_A_CLUSTER = (
    "Redis is a server of a Cluster; VIEWLEDGER_REDIS_URL must begin with redis+cluster:// or rediss+cluster://"
)
NOT_OF_A_CLUSTER = "Redis is not a server of a Cluster; VIEWLEDGER_REDIS_URL must begin with redis:// or rediss://"


def unsafe(name: str, info: Mapping[str, Any], *, in_cluster: bool) -> list[str]:
    """Return one sentence for each setting of one server under which counts could be lost silently."""
    found = []
    if (policy := info["maxmemory_policy"]) != "noeviction":
        found.append(
            f"Redis at {name} has maxmemory-policy {policy}, which drops counts when memory is short: set noeviction"
        )
    if not info["aof_enabled"]:
        found.append(f"Redis at {name} has appendonly off, so that a restart loses counts: set appendonly yes")
    if info["cluster_enabled"] and not in_cluster:
        found.append(OF_A_CLUSTER)
    return found


def refusal(error: Exception) -> str | None:
    """Return one sentence for an error that only another setting heals; None for any other."""
    text = one_line(error)
    if "cluster support disabled" in text:
        return NOT_OF_A_CLUSTER
    if isinstance(error, NoPermissionError):
        return f"Redis gives this user too few rights ({text}); docs/operate/secure-servers.md lists them"
    if isinstance(error, AuthenticationError):
        return f"Redis refuses this user or password ({text}); set VIEWLEDGER_REDIS_URL right"
    if "certificate verify failed" in text:
        return f"the certificate of Redis is not accepted ({text}); renew it, or name its authority by ?ssl_ca_certs="
    if "tlsv" in text or "alert" in text.lower():
        return f"Redis refuses our certificate ({text}); name one by ?ssl_certfile= and its key by &ssl_keyfile="
    return None


def unavailable(error: Exception, *, in_cluster: bool) -> UnavailableError:
    """Return the error by which callers know that Redis did not answer properly."""
    text = f"Redis: {error}"
    if isinstance(error, AskError):
        moves = f"Redis: slot {error.slot_id} is being moved to {error.host}:{error.port}"
        text = OF_A_CLUSTER if isinstance(error, MovedError) and not in_cluster else moves
    return UnavailableError(Part.REDIS, text)
