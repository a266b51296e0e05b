"""Checks of the running servers: settings that the exactness of counts depends on, and clocks."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import kafka.errors
import psycopg2
import redis
from kafka import KafkaProducer

from batch_layer.archive.kafka_log_ends import KafkaLogEnds
from batch_layer.errors import BatchError
from batch_layer.versions.postgres_log_generations import PostgresLogGenerations
from batch_layer.versions.postgres_versions import PostgresVersionStore
from ingestion.contract.offsets import other_log
from ingestion.contract.printable import counted
from ingestion.contract.topics import TOPIC_CLOCK
from ingestion.contract.unavailable import UnavailableError, one_line
from jobs.checkup.checks import CheckRow, bad, ok, warn
from jobs.checkup.kafka_access import check_answer
from jobs.checkup.topics import admin_client, differences, required_topics
from jobs.errors import CommandError
from jobs.local_stack.http_probe import http_get
from jobs.local_stack.ports import is_open
from jobs.local_stack.probes import hdfs_is_writable
from jobs.settings import HdfsConnection, KafkaConnection, PostgresConnection, RedisConnection
from jobs.settings.brokers import read_brokers
from jobs.settings.declared.listening import ICEBERG_PORT
from jobs.settings.declared.servers import NAMENODE_HTTP_PORT, TOPIC_VIDEO_VIEWS
from speed_layer.redis_connection import connected

CLOCK_WARN_SECONDS, CLOCK_BAD_SECONDS = 1.0, 60.0
UP = "run ./viewledger up"
Check = Callable[[Mapping[str, str]], list[CheckRow]]


def server_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Return every check of a server."""
    return rows_of(
        {
            "kafka": kafka_rows,
            "kafka clock": broker_clock_rows,
            "kafka log": log_rows,
            "redis": redis_rows,
            "postgres": postgres_rows,
            "hdfs": hdfs_rows,
            "sql": sql_rows,
        },
        environ,
    )


def rows_of(checks: Mapping[str, Check], environ: Mapping[str, str]) -> list[CheckRow]:
    """Return the rows of checks by their subjects; a server that does not answer makes only its own row bad.

    All are done at once: who looks because something is down waits for the slowest answer, not for all of them.
    """
    with ThreadPoolExecutor(len(checks), thread_name_prefix="check") as threads:
        found = threads.map(lambda subject: _rows_of(subject, checks[subject], environ), checks)
        return [row for rows in found for row in rows]


def _rows_of(subject: str, check: Check, environ: Mapping[str, str]) -> list[CheckRow]:
    try:
        return check(environ)
    except (CommandError, BatchError, UnavailableError) as error:
        return [bad(subject, str(error), UP)]
    except (redis.RedisError, psycopg2.Error, kafka.errors.KafkaError, OSError) as error:
        return [bad(subject, f"does not answer: {one_line(error)}", UP)]


def kafka_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check the topics and their settings."""
    connection = KafkaConnection.from_environ(environ)
    check_answer(connection.brokers)
    with admin_client(connection) as admin:
        found = differences(admin, connection)
    if not found:
        return [ok("topics", f"{len(required_topics(connection.partition_count))} are as they should be")]
    return [bad("topics", *text.split("; ", 1)) for text in found]


def log_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check that the topic is the counted log, and holds everything that was counted."""
    topic = TOPIC_VIDEO_VIEWS.read(environ)
    brokers = read_brokers(environ)
    url = PostgresConnection.from_environ(environ).url
    check_answer(brokers)
    with (
        closing(PostgresLogGenerations(url, topic)) as generations,
        closing(PostgresVersionStore(url)) as versions,
        closing(KafkaLogEnds(brokers, topic)) as log,
    ):
        known, current, log_id = generations.newest(), versions.current(), log.log_id()
        log.base = known.base if known else 0
        if known is not None and known.log_id != log_id:
            return [bad("kafka log", *other_log(topic, known, log_id).split("; ", 1))]
        ends = current.offsets.ends if current else ()
        if any(highwater < end for highwater, end in zip(log.highwaters(), ends, strict=False)):
            remedy = "bring back what is missing, or go on by ./viewledger topics new-generation"
            return [bad("kafka log", "it ends before what was counted: truncated, or restored from a copy", remedy)]
    if known is None:
        return [ok("kafka log", f"{log_id}; the first batch run puts it on record")]
    return [ok("kafka log", f"{log_id}, generation {known.number}, is the one that is counted")]


def broker_clock_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Compare the broker's time, the append time of a record sent to the clock topic, with ours."""
    brokers = read_brokers(environ)
    check_answer(brokers)
    producer = KafkaProducer(**brokers.of_python(), bootstrap_timeout_ms=5000, max_block_ms=5000)
    try:
        before = time.time()
        appended_ms = producer.send(TOPIC_CLOCK, b"?").get(timeout=10).timestamp
        after = time.time()
    finally:
        producer.close(timeout=5)
    return [clock_row("kafka", float(appended_ms) / 1000, before, after)]


def redis_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check eviction, persistence and memory of every server; each decides whether counts can be lost silently.

    Of a set, check as well what a master would leave behind: who follows it, and by which clock.
    """
    url = RedisConnection.from_environ(environ).url
    rows = []
    with closing(connected(url, 5)) as servers:
        for name, server in servers.every().items():
            before = time.time()
            info = server.info()
            if "+" not in url.partition("://")[0]:
                return redis_setting_rows(info)
            rows += redis_setting_rows(info, subject=f"redis {name}")
            rows.append(redis_replication_row(info, subject=f"redis {name}"))
            rows.append(clock_row(f"redis {name}", int(info["server_time_usec"]) / 1e6, before, time.time()))
    return rows


def redis_replication_row(info: Mapping[str, Any], *, subject: str) -> CheckRow:
    """Return the row for whom a server of a set follows, or who follows it."""
    if info["role"] == "master":
        count = int(info["connected_slaves"])
        if count:
            return ok(f"{subject} replication", f"master of {count}")
        remedy = "start a replica: without one, nobody takes over from this master"
        return warn(f"{subject} replication", "a master that nobody follows", remedy)
    if info["master_link_status"] == "up":
        return ok(f"{subject} replication", "has what its master has")
    return warn(f"{subject} replication", "a replica that its master does not reach", "look at the logs of both")


def redis_setting_rows(info: Mapping[str, Any], *, subject: str = "redis") -> list[CheckRow]:
    """Return the rows for what Redis answers to INFO."""
    rows = []
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        rows.append(ok(f"{subject} eviction", "noeviction"))
    else:
        remedy = "CONFIG SET maxmemory-policy noeviction"
        rows.append(bad(f"{subject} eviction", f"{policy} drops counts silently", remedy))
    if info.get("aof_enabled"):
        rows.append(ok(f"{subject} persistence", "append-only file"))
    else:
        remedy = "CONFIG SET appendonly yes"
        rows.append(warn(f"{subject} persistence", "no append-only file: a restart replays all", remedy))
    limit, used_bytes = int(info.get("maxmemory", 0)), int(info["used_memory"])
    text = f"{used_bytes / 2**20:.0f} MiB of {f'{limit / 2**20:.0f} MiB' if limit else 'unlimited'}"
    full = limit and used_bytes > 0.8 * limit
    remedy = "CONFIG SET maxmemory to more"
    rows.append(warn(f"{subject} memory", text, remedy) if full else ok(f"{subject} memory", text))
    return rows


def postgres_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check version, durability and clock."""
    connection = psycopg2.connect(PostgresConnection.from_environ(environ).url, connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select current_setting('server_version'), current_setting('fsync')")
            version, fsync = cursor.fetchone() or ("?", "?")
            before = time.time()
            cursor.execute("select extract(epoch from clock_timestamp())::float8")
            (answer,) = cursor.fetchone() or (0.0,)
            after = time.time()
    finally:
        connection.close()
    durable = (
        ok("postgres", f"{version}, fsync on")
        if fsync == "on"
        else bad("postgres", f"{version}, fsync {fsync}", "set fsync = on: ledger rows must survive a power cut")
    )
    return [durable, clock_row("postgres", float(answer), before, after)]


def hdfs_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check that HDFS accepts writes, through the local stack's own NameNode only."""
    url = HdfsConnection.from_environ(environ).url
    http_port = NAMENODE_HTTP_PORT.read_if_set(environ)
    if http_port is None:
        return [warn("hdfs", f"{url} is not the local stack's; not looked at", "see its administration page")]
    if hdfs_is_writable(http_port):
        return [ok("hdfs", "out of safe mode, with a live DataNode")]
    return [bad("hdfs", "in safe mode, or without a live DataNode", "wait a minute, then ./viewledger down and up")]


def sql_rows(environ: Mapping[str, str]) -> list[CheckRow]:
    """Check the server that analysts and look-ups of single events use, if it runs; it is optional."""
    port = ICEBERG_PORT.read(environ)
    if not is_open(port):
        return [ok("sql", "does not run; ./viewledger run sql starts it for analysts and for looking up events")]
    body = http_get(f"http://127.0.0.1:{port}/versions")
    if body is None:
        return [bad("sql", f"{port} is open and does not list the versions", "check PostgreSQL, then read its log")]
    return [ok("sql", f"answers with {counted(len(json.loads(body)['versions']), 'published version')}")]


def clock_row(server: str, answered: float, before: float, after: float) -> CheckRow:
    """Compare the server's time with ours, in seconds: `answered` lies between `before` and `after` if both agree."""
    off = max(before - answered, answered - after, 0.0)
    text = f"{server} is within {off:.1f} s of this machine" if off else f"{server} agrees with this machine"
    if off >= CLOCK_BAD_SECONDS:
        return bad(f"clock {server}", text, "set both clocks by NTP: event times are judged against the broker's")
    if off >= CLOCK_WARN_SECONDS:
        return warn(f"clock {server}", text, "set both clocks by NTP")
    return ok(f"clock {server}", text)
