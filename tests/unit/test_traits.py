"""The traits of a view: what is kept of where it came from, and what is not."""

import json
from dataclasses import replace
from datetime import date

import pytest

from ingestion.contract.decoding import decode_view_event
from ingestion.contract.event import ViewEvent
from ingestion.contract.traits import Traits, TraitsKey, agent_class, referrer_host, traits_of

KEY = TraitsKey(b"k" * 32)
DAY = (date(2026, 11, 20) - date(1970, 1, 1)).days
NOTHING = Traits(None, None, None, None, None, None, 0)


def message(**fields: object) -> bytes:
    plain: dict[str, object] = {
        "event_id": "8f14e45f-ceea-467f-9a3c-1b2d3e4f5a6b",
        "video_id": "v",
        "user_id": "u",
        "session_id": "s",
        "timestamp": "2026-11-20T10:00:00Z",
        "view_duration": 60,
        "revenue_eligible": True,
    }
    return json.dumps(plain | fields).encode()


def traits(day: int = DAY, key: TraitsKey = KEY, **fields: object) -> Traits:
    value = message(**fields)
    event = decode_view_event(value)
    assert isinstance(event, ViewEvent), event
    return traits_of(event, value, day, key)


def test_an_event_that_says_nothing_of_itself_has_none() -> None:
    assert traits() == NOTHING
    assert traits(client_network="", user_agent="", referrer="", ad_views=[]) == NOTHING


def test_neither_a_network_nor_an_agent_can_be_read() -> None:
    found = traits(client_network="192.0.2.0/24", user_agent="Secret/1 (Linux)")
    assert found.network
    assert found.agent
    assert len(found.network) == len(found.agent) == 32
    assert found.agent_class == "other/linux"
    assert found.network != traits(user_agent="192.0.2.0/24").agent, "each has a key of its own"


def test_every_address_of_a_network_has_the_same_hash() -> None:
    """A direct producer may write a whole address: of it only the network counts."""
    wanted = traits(client_network="192.0.2.0/24").network
    assert {traits(client_network=text).network for text in ("192.0.2.7", "::ffff:192.0.2.9", " 192.0.2.1/32")} == {
        wanted
    }
    assert traits(client_network="192.0.3.0/24").network != wanted
    assert traits(client_network="no network").network is None


def test_hashes_of_a_quarter_are_the_same_and_those_of_the_next_are_others() -> None:
    def on(*day: int) -> str | None:
        return traits((date(*day) - date(1970, 1, 1)).days, client_network="2001:db8::/48").network

    assert on(2026, 10, 1) == on(2026, 12, 31)
    quarters = {on(2026, 1, 1), on(2026, 3, 31), on(2026, 4, 1), on(2026, 7, 1), on(2026, 10, 1), on(2027, 1, 1)}
    assert len(quarters) == 5


def test_the_hashes_of_a_key_never_change() -> None:
    """A rebuild years later gives the same rows: these texts must never change."""
    found = traits(client_network="192.0.2.0/24", user_agent="Player/1")
    assert (found.network, found.agent) == ("08f690dd1736f3998369dc706ed352e2", "d3cd9bfc239475d52649103e07f39d05")
    assert KEY.fingerprint == "fa506d822503e934"
    assert traits(key=TraitsKey(b"l" * 32), user_agent="Player/1").agent != found.agent


@pytest.mark.parametrize("day", [-(10**9), -719_163, -719_164, 2_932_896, 2_932_897, 10**9])
def test_a_day_outside_the_calendar_has_a_key(day: int) -> None:
    assert traits(day, user_agent="Player/1").agent


def test_a_key_that_is_too_short_is_refused_and_a_key_is_never_shown() -> None:
    with pytest.raises(ValueError, match="has 31 bytes; give at least 32"):
        TraitsKey(b"k" * 31)
    assert "kkk" not in repr(KEY)
    assert replace(KEY) == KEY


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("relay/1", "relay/1"),
        ("data_centre/12", "data_centre/12"),
        ("", None),
        ("VPN", None),
        ("vpn/x", None),
        ("x" * 2_000, None),
        (None, None),
        (7, None),
        ([["relay/1"]], None),
        ({"network_kind": "relay/1"}, None),
    ],
)
def test_the_kind_of_a_network_is_what_the_collector_writes_or_nothing(sent: object, kept: str | None) -> None:
    assert traits(network_kind=sent).network_kind == kept


def test_a_member_of_another_object_is_not_read_as_the_kind() -> None:
    assert traits(more={"network_kind": "relay/1"}).network_kind is None


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://User:Pass@News.Example:8080/a?b#c", "news.example"),
        ("news.example/path", "news.example"),
        ("android-app://com.example.app/", "com.example.app"),
        ("not a URL", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("\0", None),
        ("http://" + "a." * 1_000 + "é", None),
    ],
)
def test_of_a_referrer_only_its_host_is_kept(referrer: str, host: str | None) -> None:
    assert referrer_host(referrer) == host
    assert traits(referrer=referrer).referrer_host == host


def test_seconds_of_advertisements_are_added_up() -> None:
    sent = [{"ad_id": "a", "watched_seconds": 20}, {"ad_id": "b"}, {"ad_id": "a", "watched_seconds": 5}]
    assert traits(ad_views=sent).ad_seconds == 25


def test_quality_is_kept_as_the_player_sent_it() -> None:
    assert traits(quality="1080p60").quality == "1080p60"


@pytest.mark.parametrize(
    ("agent", "its_class"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
         "chrome/windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36 "
         "Edg/141.0", "edge/windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
         "Mobile/15E148 Safari/604.1", "safari/ios"),
        ("Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 CriOS/141.0 Mobile/15E148 Safari/604.1",
         "chrome/ios"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.6 Safari/605.1.15",
         "safari/macos"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "firefox/linux"),
        ("Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 SamsungBrowser/28.0 Chrome/130.0 Mobile "
         "Safari/537.36", "samsung_browser/android"),
        ("Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) AppleWebKit/537.36 Chrome/120.0 TV Safari/537.36", "chrome/tizen"),
        ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
         "chrome/webos"),
        ("AppleCoreMedia/1.0.0.22M80 (Apple TV; U; CPU OS 18_6 like Mac OS X; de_de)", "apple_core_media/tvos"),
        ("Roku/DVP-14.6 (14.6.4.4083)", "roku/roku"),
        ("App/7 (Linux;Android 14) ExoPlayerLib/2.19.1", "exoplayer/android"),
        ("VLC/3.0.21 LibVLC/3.0.21", "vlc/other"),
        ("okhttp/4.12.0", "okhttp/other"),
        ("App/1 CFNetwork/3826 Darwin/24.6.0", "apple_app/darwin"),
        ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8)", "android_app/android"),
        ("", "other/other"),
        ("\U0001f600" * 512, "other/other"),
        ("x" * 400 + "Firefox/1", "other/other"),
    ],
)  # fmt: skip
def test_an_agent_belongs_to_a_coarse_family(agent: str, its_class: str) -> None:
    assert agent_class(agent) == its_class
