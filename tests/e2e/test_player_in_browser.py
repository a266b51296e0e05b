"""The player library in a real browser, with a real video, against a collector with a broker."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from clients.demo.serve import app_of, unsigned
from ingestion.contract.plays import PlayRequest, SignedPlay
from ingestion.jwt_plays import play_keys, play_signer
from jobs.local_stack.ports import free_ports
from jobs.local_stack.stack import LocalStack
from tests.browser import ARGUMENTS, CHROMIUM, loopback, needs_chromium, served
from tests.ingestion_fakes import hmac_jwk
from tests.kafka_topic import kafka_alone, stored
from tests.server_process import ServerProcess, server_process

pytestmark = needs_chromium
expect.set_options(timeout=30_000)
WAIT_SECONDS = 60.0
KEYS = json.dumps({"keys": [hmac_jwk("mine", bytes(range(32)))]})
NOTHING_KEPT = "Object.keys(localStorage).every((key) => !key.startsWith('viewledger:'))"
PLAYED_TO = """(seconds) => new Promise((resolve) => {
    const video = document.querySelector("video");
    video.ontimeupdate = () => {
        if (video.currentTime < seconds) return;
        Object.assign(video, { ontimeupdate: null, playbackRate: 0.0625 });
        resolve();
    };
    video.play();
})"""
"""The video plays on as slowly as a browser can, so that a slow machine finds it at that second, too."""
ENDED = """(change) => new Promise((resolve) => {
    const video = document.querySelector("video");
    video.onended = () => setTimeout(resolve);
    Object.assign(video, { playbackRate: 1, ...change });
    video.play();
})"""
numbers = itertools.count(1)


@dataclass
class Platform:
    """The platform's side of the demo: its page, and the play that it hands to the next view."""

    address: str
    collector_port: int
    video_id: str = ""
    play: Mapping[str, object] | None = None
    handed_out: list[Mapping[str, object]] = field(default_factory=list)

    def issue(self) -> Mapping[str, object]:
        self.handed_out.append(self.play or unsigned() | {"video_id": self.video_id})
        return self.handed_out[-1]


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalStack]:
    with kafka_alone() as stack:
        yield stack


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    port = free_ports().collector
    with loopback() as (listener, address):
        running = Platform(address, port)
        with served(app_of(f"http://127.0.0.1:{port}/v1/events", running.issue), listener):
            yield running


@pytest.fixture(scope="module")
def start_collector(
    broker: LocalStack, platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Any]:
    (keys := tmp_path_factory.mktemp("plays") / "keys.json").write_text(KEYS)
    further = {"VIEWLEDGER_COLLECTOR_ORIGINS": platform.address, "VIEWLEDGER_PLAY_KEYS_FILE": str(keys)}
    environ = {**broker.environment, **further}

    @contextmanager
    def started() -> Iterator[ServerProcess]:
        name = "VIEWLEDGER_COLLECTOR_PORT"
        with server_process("jobs.processes.collector", name, environ, port=platform.collector_port) as running:
            yield running

    return started


@pytest.fixture
def collector(start_collector: Callable[[], Any]) -> Iterator[ServerProcess]:
    with start_collector() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = [*ARGUMENTS, "--autoplay-policy=no-user-gesture-required"]
        # Playwright switches off what a browser does with a page that is left: to keep it, and to show it again.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=arguments, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, platform: Platform) -> Iterator[BrowserContext]:
    platform.video_id, platform.play = f"player-{next(numbers)}", None
    platform.handed_out.clear()
    context = browser.new_context(base_url=platform.address)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return opened(context)


def opened(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    page.wait_for_function("document.querySelector('video').readyState === 4")
    return page


def of_video(broker: LocalStack, video_id: str, count: int = 1) -> list[dict[str, Any]]:
    """The events of a video, as soon as there are as many in the topic."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(found := [each for each in stored(broker.environment) if each["video_id"] == video_id]) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} events arrived"
    return found


def nothing_kept(page: Page) -> None:
    page.wait_for_function(NOTHING_KEPT)


def kept_ids(page: Page) -> list[str]:
    ids: list[str] = page.evaluate("Object.keys(localStorage).map((key) => key.slice(key.lastIndexOf(':') + 1))")
    return ids


def test_a_view_is_one_event_with_the_fields_of_the_contract_alone(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    before = datetime.now(UTC)
    page.evaluate(ENDED, {})
    nothing_kept(page)
    (event,) = of_video(broker, platform.video_id)
    assert event["view_duration"] == 2
    assert abs((datetime.fromisoformat(event["timestamp"]) - before).total_seconds()) < 30
    own = {"event_id", "video_id", "user_id", "session_id", "timestamp", "view_duration", "revenue_eligible"}
    assert set(event) == own | {"received_at", "client_network", "user_agent"}


def test_pauses_and_jumps_are_not_watched(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    page.evaluate(PLAYED_TO, 0.4)
    page.evaluate("document.querySelector('video').pause()")
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 2000))")
    page.evaluate(ENDED, {"currentTime": 1.7})
    (event,) = of_video(broker, platform.video_id)
    assert event["view_duration"] == 1


def test_jumping_on_and_back_watches_nothing(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    page.evaluate(PLAYED_TO, 0.1)
    page.evaluate(
        """async () => {
            const video = document.querySelector("video");
            for (let jump = 0; jump < 40; jump++) {
                const landed = new Promise((resolve) => (video.onseeked = resolve));
                video.currentTime = jump % 2 ? 0.1 : 1.9;
                await landed;
                video.pause();
            }
        }"""
    )
    page.get_by_role("button", name="End the view").click()
    (event,) = of_video(broker, platform.video_id)
    assert event["view_duration"] <= 1


@pytest.mark.parametrize("rate", [0.5, 2])
def test_at_another_rate_the_time_of_the_video_counts(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page, rate: float
) -> None:
    page.evaluate(ENDED, {"playbackRate": rate})
    (event,) = of_video(broker, platform.video_id)
    assert event["view_duration"] == 2


def test_a_view_goes_on_while_its_tab_is_hidden(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    page.evaluate(PLAYED_TO, 0.3)
    # A browser without a window never hides a tab; what a hidden one does is done here: it slows the events down.
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden'})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.evaluate("addEventListener('timeupdate', (event) => event.stopImmediatePropagation(), true)")
    page.evaluate("document.querySelector('video').playbackRate = 1")
    page.wait_for_function("document.querySelector('video').ended")
    (event,) = of_video(broker, platform.video_id)
    assert event["view_duration"] == 2


def test_an_advertisement_belongs_to_the_view_once(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    page.get_by_role("button", name="Report an advertisement").click()
    page.evaluate(PLAYED_TO, 0.2)
    page.get_by_role("button", name="Report an advertisement").click()
    page.evaluate(ENDED, {})
    page.evaluate(ENDED, {})
    first, second = of_video(broker, platform.video_id, 2)
    with_ads, without = (first, second) if "ad_views" in first else (second, first)
    assert [each["ad_type"] for each in with_ads["ad_views"]] == ["preroll", "preroll"]
    assert "ad_views" not in without
    assert len(platform.handed_out) == 2


def test_a_signed_play_gives_the_event_its_id_and_its_facts(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    key = bytes.fromhex(broker.environment["VIEWLEDGER_PSEUDONYM_KEY"])
    sign = play_signer(play_keys(KEYS.encode()), key, lambda: datetime.now(UTC))
    asked = {"video_id": platform.video_id, "user_id": "alice", "session_id": "s", "revenue_eligible": False}
    signed: SignedPlay = sign(msgspec.convert(asked, PlayRequest))
    platform.play = msgspec.to_builtins(signed)
    page.evaluate(ENDED, {})
    nothing_kept(page)
    (event,) = of_video(broker, platform.video_id)
    assert (event["event_id"], event["revenue_eligible"]) == (signed.event_id, False)
    assert "play" not in event


def test_an_event_outlives_a_reload_and_is_delivered_under_its_id(
    broker: LocalStack, start_collector: Callable[[], Any], platform: Platform, page: Page
) -> None:
    page.evaluate(ENDED, {})
    (kept,) = kept_ids(page)
    page.reload()
    assert kept_ids(page) == [kept]
    with start_collector():
        nothing_kept(page)
    (event,) = of_video(broker, platform.video_id)
    assert event["event_id"] == kept


def test_of_too_many_unsent_events_the_oldest_is_dropped_and_shown_to_the_page(platform: Platform, page: Page) -> None:
    key = f"viewledger:http://127.0.0.1:{platform.collector_port}/v1/events:"
    page.evaluate(
        """(key) => {
            for (let at = 1; at <= 200; at++) {
                localStorage.setItem(`${key}old-${at}`, JSON.stringify({ at, event: { event_id: `old-${at}` } }));
            }
        }""",
        key,
    )
    page.evaluate(ENDED, {})
    expect(page.locator("output")).to_contain_text("old-1: not_kept")
    kept = kept_ids(page)
    assert len(kept) == 200
    assert "old-1" not in kept
    assert "old-2" in kept


def test_what_cannot_be_read_in_the_storage_stops_nothing(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    key = f"viewledger:http://127.0.0.1:{platform.collector_port}/v1/events:"
    for number, text in enumerate(("", "{", "null", "7", "{}", '{"at":1,"event":{"event_id":"other"}}')):
        page.evaluate("([key, text]) => localStorage.setItem(key, text)", [f"{key}{number}", text])
    page.evaluate(ENDED, {})
    nothing_kept(page)
    assert len(of_video(broker, platform.video_id)) == 1


def test_leaving_the_page_sends_the_view_at_once_and_coming_back_takes_a_new_play(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    page.evaluate("window.isOfBefore = true")
    page.evaluate(PLAYED_TO, 0.8)
    page.goto("about:blank")
    first = of_video(broker, platform.video_id)[0]
    assert first["view_duration"] == 1
    page.go_back(wait_until="commit")
    assert page.evaluate("window.isOfBefore"), "the browser made the page again instead of showing it"
    nothing_kept(page)  # it was sent once more, since nobody had read an answer
    page.evaluate(ENDED, {})
    nothing_kept(page)
    events = of_video(broker, platform.video_id, 3)
    assert {each["event_id"] for each in events} >= {first["event_id"]}
    assert len({each["event_id"] for each in events}) == 2
    assert len({json.dumps(each | {"received_at": ""}, sort_keys=True) for each in events}) == 2
    assert len(platform.handed_out) == 2


def test_without_send_beacon_leaving_the_page_sends_the_view_as_well(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    page.evaluate("navigator.sendBeacon = () => false")
    page.evaluate(PLAYED_TO, 0.6)
    page.goto("about:blank")
    assert len({each["event_id"] for each in of_video(broker, platform.video_id)}) == 1


def test_a_refused_event_is_shown_to_the_page_and_never_sent_again(
    collector: ServerProcess, platform: Platform, page: Page
) -> None:
    platform.video_id = "#NAME?"
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/v1/events" in request.url else None)
    page.evaluate(ENDED, {})
    expect(page.locator("output")).to_contain_text("video_id_invalid")
    nothing_kept(page)
    page.reload()
    assert len(sent) == 1


def test_a_busy_collector_gets_the_event_again_when_it_said_and_under_the_same_id(
    broker: LocalStack, collector: ServerProcess, platform: Platform, page: Page
) -> None:
    tries: list[tuple[float, str]] = []
    allowed = {"access-control-allow-origin": "*", "access-control-expose-headers": "retry-after"}

    def busy_first(route: Route) -> None:
        tries.append((time.monotonic(), json.loads(route.request.post_data or "")["event_id"]))
        if len(tries) == 1:
            route.fulfill(status=429, headers={**allowed, "retry-after": "4"}, body="{}")
        elif len(tries) == 2:
            route.fulfill(status=404, headers=allowed, body="<html>a proxy, not the collector</html>")
        else:
            route.continue_()

    page.route("**/v1/events", busy_first)
    page.evaluate(ENDED, {})
    nothing_kept(page)
    assert len(tries) == 3
    assert tries[1][0] - tries[0][0] >= 4
    (event,) = of_video(broker, platform.video_id)
    assert {event_id for _, event_id in tries} == {event["event_id"]}


def test_two_tabs_lose_and_double_nothing(
    broker: LocalStack, start_collector: Callable[[], Any], platform: Platform, context: BrowserContext
) -> None:
    one, other = opened(context), opened(context)
    one.evaluate(ENDED, {})
    other.evaluate(ENDED, {})
    kept = kept_ids(other)
    assert len(kept) == 2
    one.close(run_before_unload=False)
    with start_collector():
        nothing_kept(other)
    events = of_video(broker, platform.video_id, 2)
    assert sorted(each["event_id"] for each in events) == sorted(kept)
