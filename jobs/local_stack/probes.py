"""Real readiness probes: each requests the server's actual work. All bounded to a few seconds."""

import json
import logging

import kafka.errors
import psycopg2
import redis
from kafka.admin import KafkaAdminClient

from jobs.local_stack.http_probe import http_get
from jobs.local_stack.ports import is_open

PROBE_SECONDS = 2.0


def kafka_answers(bootstrap: str) -> bool:
    """Return whether the broker answers a metadata request with at least one broker in it."""
    host, _, port = bootstrap.partition(":")
    if host == "127.0.0.1" and not is_open(int(port)):
        return False  # a client would log a page of retries
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=2000, bootstrap_timeout_ms=2000, client_id="probe"
        )
    except (kafka.errors.KafkaError, OSError):
        return False
    try:
        return len(admin.describe_cluster()["brokers"]) > 0
    except (kafka.errors.KafkaError, OSError):
        return False
    finally:
        admin.close()


def redis_answers(url: str) -> bool:
    """Return whether Redis answers PING, which it refuses while it loads its append-only file."""
    client = redis.Redis.from_url(url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def postgres_answers(url: str) -> bool:
    """Return whether PostgreSQL accepts a connection and answers `select 1`."""
    try:
        connection = psycopg2.connect(url, connect_timeout=2)
    except psycopg2.OperationalError:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            return cursor.fetchone() == (1,)
    except psycopg2.Error:
        return False
    finally:
        connection.close()


def namenode_is_open(http_port: int) -> bool:
    """Return whether the NameNode answers and serves requests (the DataNode's arrival ends its safe mode)."""
    return "FSState" in _namenode_state(http_port)


def hdfs_is_writable(http_port: int) -> bool:
    """Return whether the NameNode left safe mode and counts at least one live DataNode."""
    state = _namenode_state(http_port)
    return state.get("FSState") == "Operational" and int(str(state.get("NumLiveDataNodes", 0))) >= 1


def _namenode_state(http_port: int) -> dict[str, object]:
    body = http_get(f"http://127.0.0.1:{http_port}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState")
    beans = json.loads(body).get("beans", []) if body else []
    return dict(beans[0]) if beans else {}
