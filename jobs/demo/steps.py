"""The steps of the demo on a running stack."""

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx

from ingestion.contract.periods import Period
from ingestion.contract.printable import counted
from jobs.demo.catalogue_files import payee_id, sample_rates, write_catalogue
from jobs.demo.commands import RunningCommand, run_command
from jobs.demo.comparison import ComparedRow, Observed, compare
from jobs.demo.freshness import quantile_between
from jobs.demo.maker import Message, Traffic
from jobs.demo.observation import (
    invalid_of,
    latency_histogram,
    ledger_totals,
    served_counts,
    under_review_of,
    wait_until_counted,
    wait_until_served,
)
from jobs.demo.platform import platform_of
from jobs.demo.sample import DAY_COUNT, DAYS_BEFORE_TODAY
from jobs.demo.senders import NOTHING_SENT, DirectProducer, Players, Sent, paced
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.stack import LocalStack
from jobs.settings.declared.listening import API_PORT, COLLECTOR_PORT
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP
from jobs.wiring.pseudonyms import read_pseudonym_key

LIVE_EVENTS_PER_SECOND = 1500.0


@dataclass
class Demo:
    """The steps of the demo on a running stack."""

    stack: LocalStack
    tell: Callable[[str], None]
    over_http: Sent = NOTHING_SENT
    to_kafka: Sent = NOTHING_SENT
    events_per_second: dict[str, int] = field(default_factory=dict)
    freshness_seconds: dict[str, float] = field(default_factory=dict)
    sample_call: str = ""
    sample_answer: str = ""
    sample_payee: str = ""
    """Who owns the video of the call."""

    def __post_init__(self) -> None:
        self.environment: Mapping[str, str] = self.stack.environment
        self.api_url = f"http://127.0.0.1:{API_PORT.read(self.environment)}"
        self._logs = self.stack.folder / "log"
        sign = platform_of(self.environment)
        self._players = Players(f"http://127.0.0.1:{COLLECTOR_PORT.read(self.environment)}", sign)
        brokers = ",".join(KAFKA_BOOTSTRAP.read(self.environment))
        self._producer = DirectProducer(brokers, read_pseudonym_key(self.environment))

    def run(self, traffic: Traffic, today: date) -> list[ComparedRow]:
        """Send everything with two batch runs in between, bill, and compare every number with the truth."""
        try:
            run_command(write_catalogue(traffic, self.stack.folder), self.environment, self._logs)
            period = Period(today - timedelta(days=DAY_COUNT + 1), today - timedelta(days=DAYS_BEFORE_TODAY - 1))
            settled = self._settle(traffic, period)
            self._bill_while_traffic_goes_on(traffic, period)
        finally:
            self._players.close()
            self._producer.close()
        return self._compare(traffic, period, settled)

    def _settle(self, traffic: Traffic, period: Period) -> Mapping[str, Any]:
        """Return the result of the second batch run, which settles the first two phases and judges their days."""
        half = len(traffic.messages[2]) // 2
        self._send(traffic.messages[1], "first part")
        self._wait_until_counted("first part")
        first = RunningCommand.start(["batch", "run"], self.environment, self._logs)
        self.tell("first batch run started; traffic goes on")
        self._send(traffic.messages[2][:half], "second part", kill_speed=True)
        self._published(first.result())
        self._send(traffic.messages[2][half:], "third part")
        self._wait_until_counted("third part")
        words = ["batch", "run", "--judge-period", str(period)]
        return self._published(run_command(words, self.environment, self._logs))

    def _bill_while_traffic_goes_on(self, traffic: Traffic, period: Period) -> None:
        words = ["billing", "run", "--period", str(period), "--actor", "demo"]
        billing = RunningCommand.start(words, self.environment, self._logs)
        self.tell(f"billing run of {period} started; live traffic goes on")
        self._send_live(traffic.messages[3])
        billing.result()
        self.tell("billing posted")

    def _send(self, messages: Sequence[Message], name: str, *, kill_speed: bool = False) -> None:
        over_http, to_kafka = by_way(messages)
        with ThreadPoolExecutor(2) as pool:
            players, producer = pool.submit(self._players.send, over_http), pool.submit(self._producer.send, to_kafka)
            if kill_speed:
                killed = self.stack.kill("speed", signal.SIGKILL)
                self.tell(f"killed the speed consumer in the middle of its work (SIGKILL to {killed})")
        self._add(players.result(), producer.result())
        for way, sent in (("over HTTP", players.result()), ("straight to Kafka", producer.result())):
            self.tell(f"{name}: {counted(sent.answered, 'event')} {way}, {sent.per_second:,.0f} events/s, both at once")
            self.events_per_second[f"{name} {way}"] = round(sent.per_second)
        if kill_speed:
            self.tell(f"the speed consumer is back as {self.stack.wait_ready('speed', not_pid=killed)}")

    def _send_live(self, messages: Sequence[Message]) -> None:
        before = latency_histogram(self.environment)
        for slice_ in paced(messages, LIVE_EVENTS_PER_SECOND):
            over_http, to_kafka = by_way(slice_)
            self._add(self._players.send(over_http), self._producer.send(to_kafka))
        wait_until_counted(self.environment)
        after = latency_histogram(self.environment)
        self.freshness_seconds = {f"p{share:.0%}"[:-1]: quantile_between(before, after, share) for share in (0.5, 0.99)}

    def _add(self, over_http: Sent, to_kafka: Sent) -> None:
        self.over_http += over_http
        self.to_kafka += to_kafka

    def _wait_until_counted(self, name: str) -> None:
        seconds = wait_until_counted(self.environment)
        self.tell(f"{name}: counted {seconds:.1f} s after the last event was acknowledged")

    def _published(self, result: dict[str, Any]) -> dict[str, Any]:
        """Record the speed of a batch run. There was new traffic, so it must have published."""
        if result["state"] != "published":
            raise CommandError(f"the batch run published nothing: {result['state']}", ExitCode.DIFFERENCE)
        version, archived, seconds = result["version"], result["archived_count"], result["stage_seconds"]
        self.tell(
            f"version {version} published: {counted(archived, 'new event')}, {sum(seconds.values()):.0f} s "
            "without start-up"
        )
        for stage in ("archive", "judge"):
            self.events_per_second[f"{stage}, version {version}"] = round(archived / seconds[stage])
        return result

    def _compare(self, traffic: Traffic, period: Period, settled: Mapping[str, Any]) -> list[ComparedRow]:
        wait_until_served(self.api_url, settled["version"])
        ledger = ledger_totals(self.environment)
        most_viewed = max(traffic.truth.settled_views, key=traffic.truth.settled_views.__getitem__)
        self.sample_call = f"{self.api_url}/v1/videos/{most_viewed}/views"
        self.sample_answer = httpx.get(self.sample_call, timeout=10).text
        self.sample_payee = payee_id(traffic.channel_of[most_viewed])
        payees = {each.channel: payee_id(each.channel) for each in traffic.truth.families}
        reviewed = run_command(["traffic", "review"], self.environment, self._logs)
        observed = Observed(
            over_http=self.over_http,
            to_kafka=self.to_kafka,
            archived=settled["row_counts"]["raw_events"],
            verdicts=settled["verdicts"],
            served=served_counts(self.api_url, sorted(traffic.channel_of), self.environment),
            invalid=invalid_of(self.api_url, payees, period, self.environment),
            under_review=under_review_of(reviewed["groups"], payees),
            billed_views=ledger["billed_views"],
            paid_micros=ledger["paid_micros"],
            carried_nanomicros=ledger["carried_nanomicros"],
            ledger_sum_micros=ledger["ledger_sum_micros"],
        )
        return compare(traffic.truth, observed, sample_rates())


def by_way(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Return the messages that go over HTTP and those that go straight to Kafka."""
    over_http = [each for each in messages if each.over_http]
    return over_http, [each for each in messages if not each.over_http]
