"""Collect the pipeline's own results: from Kafka, Redis, the API and the ledger."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import psycopg2
import redis
from kafka import KafkaConsumer, TopicPartition

from ingestion.contract.periods import Period
from ingestion.contract.topics import TOPIC_VIDEO_VIEWS
from jobs.demo.freshness import Histogram, read_histogram
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.listening import SPEED_METRICS_PORT
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP, POSTGRES_URL, REDIS_URL
from jobs.wiring.access_settings import development_bearer
from serving_layer.access.access import Role

POLL_SECONDS = 0.05
DRAIN_SECONDS_MAX = 120.0
LOOKUP_IDS_MAX = 1000


def wait_until_counted(environment: Mapping[str, str]) -> float:
    """Wait until the speed layer has applied everything that is in the topic now; return the seconds.

    Raises:
        CommandError: two minutes were not enough; the message names the partitions that lag.
    """
    started = time.monotonic()
    consumer = KafkaConsumer(bootstrap_servers=list(KAFKA_BOOTSTRAP.read(environment)))
    partitions = consumer.partitions_for_topic(TOPIC_VIDEO_VIEWS) or set()
    wanted = consumer.end_offsets([TopicPartition(TOPIC_VIDEO_VIEWS, number) for number in partitions])
    consumer.close()
    with redis.Redis.from_url(REDIS_URL.read(environment), socket_timeout=10) as client:
        while True:
            lagging = {
                each.partition: end - applied
                for each, end in wanted.items()
                if (applied := int(client.hget(f"{{views:{each.partition}}}:state", "position") or 0)) < end
            }
            if not lagging:
                return time.monotonic() - started
            if time.monotonic() - started > DRAIN_SECONDS_MAX:
                raise CommandError(f"the speed layer lags behind (partition: events): {lagging}", ExitCode.DIFFERENCE)
            time.sleep(POLL_SECONDS)


def latency_histogram(environment: Mapping[str, str]) -> Histogram:
    """Return the speed layer's present latency histogram."""
    port = SPEED_METRICS_PORT.read(environment)
    return read_histogram(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).raise_for_status().text)


def served_counts(api_url: str, video_ids: Sequence[str], environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the API's answer for every video, billable views included."""
    answers: dict[str, dict[str, Any]] = {}
    with _finance(api_url, environment) as client:
        for start in range(0, len(video_ids), LOOKUP_IDS_MAX):
            body = {"video_ids": list(video_ids[start : start + LOOKUP_IDS_MAX])}
            response = client.post("/v1/views:lookup", json=body).raise_for_status()
            answers.update({each["video_id"]: each for each in response.json()["counts"]})
    return answers


def invalid_of(
    api_url: str, payees: Mapping[str, str], period: Period, environment: Mapping[str, str]
) -> dict[str, int]:
    """Return the invalid traffic of each payee in a period by its name; `payees` is name → id."""
    days = {"from": period.start_on.isoformat(), "to": period.end_on.isoformat()}
    with _finance(api_url, environment) as client:
        answers = {
            name: client.get(f"/v1/channels/{payee}/invalid", params=days).raise_for_status().json()
            for name, payee in payees.items()
        }
    return {name: sum(answer["classes"].values()) for name, answer in answers.items()}


def under_review_of(groups: Sequence[Mapping[str, Any]], payees: Mapping[str, str]) -> dict[str, int]:
    """Return the views under review of each payee, of the groups of `traffic review`; `payees` is name → id."""
    return {
        name: sum(each["waiting_count"] for each in groups if each["payee_id"] == payee)
        for name, payee in payees.items()
    }


def _finance(api_url: str, environment: Mapping[str, str]) -> httpx.Client:
    return httpx.Client(base_url=api_url, timeout=30, headers=development_bearer(environment, Role.FINANCE))


def wait_until_served(api_url: str, version: int) -> None:
    """Wait until the API answers from a version.

    Raises:
        CommandError: a minute was not enough.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if httpx.get(f"{api_url}/v1/videos/any/views", timeout=10).json().get("version") == version:
            return
        time.sleep(POLL_SECONDS)
    raise CommandError(f"the API does not serve version {version}", ExitCode.DIFFERENCE)


def ledger_totals(environment: Mapping[str, str]) -> dict[str, int]:
    """Return sums read from the ledger's tables themselves, not through the billing package."""
    connection = psycopg2.connect(POSTGRES_URL.read(environment), connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT coalesce(sum(quantity), 0) FROM billing.payment_audit WHERE kind = 'views'),"
                " (SELECT coalesce(sum(amount_micros), 0) FROM billing.payment_audit),"
                " (SELECT coalesce(sum(carried_nanomicros_after), 0) FROM billing.transactions),"
                " (SELECT coalesce(sum(amount_micros), 0) FROM billing.entries),"
                " (SELECT count(*) FROM billing.transactions)"
            )
            row = cursor.fetchone() or ()
    finally:
        connection.close()
    names = ("billed_views", "paid_micros", "carried_nanomicros", "ledger_sum_micros", "transactions")
    return {name: int(value) for name, value in zip(names, row, strict=True)}
