"""Invalid traffic by one event alone: what is found, and above all what is not."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from ingestion.contract.agent_lists import FOLDER, finder, lists_in_force, remover, shipped_lists
from ingestion.contract.dated_lists import DatedList, ListError, read_lists
from ingestion.contract.event import AdView, ViewEvent
from ingestion.contract.event_contracts import NEWEST
from ingestion.contract.traffic import (
    INVALID_SINCE_CONTRACT,
    KEPT_AGENTS_MAX,
    READ_LENGTH_MAX,
    InvalidReason,
    _readers,
    invalid_reason,
)

CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
)
IPHONE = "ViewApp/5.2.1 (iPhone; iOS 17.4) AppleCoreMedia/1.0.0.21G82"

ROBOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 8.0; Pixel 2 Build/OPD3.170816.012; Storebot-Google/1.0) AppleWebKit/537.36",
    "AdsBot-Google (+http://www.google.com/adsbot.html)",
    "Mozilla/5.0 (compatible; YandexImages/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "Mozilla/5.0 (compatible; Bytespider; spider-feedback@bytedance.com)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
    "nobody-listed-this-crawler/1.4 (ops@example.org)",
    "Scrapy/2.11.2 (+https://scrapy.org)",
    "python-requests/2.32.3",
    "Python/3.11 aiohttp/3.9.1",
    "Go-http-client/2.0",
    "curl/8.5.0",
    "Wget/1.21.3",
    "CUBOT NOTE 20 Googlebot/2.1",
)
PLAYERS = (
    CHROME,
    IPHONE,
    "AppleCoreMedia/1.0.0.20G75 (iPhone; U; CPU OS 16_6 like Mac OS X; en_us)",
    "AppleCoreMedia/1.0.0.16L226 (Apple TV; U; CPU OS 12_1_1 like Mac OS X; en_us)",
    "Roku/DVP-12.0 (12.0.0.4182-AD)",
    "VLC/3.0.18 LibVLC/3.0.18",
    "Lavf/58.76.100",
    "okhttp/4.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 13; SM-A546B Build/TP1A.220624.014)",
    "Apache-HttpClient/UNAVAILABLE (java 1.4)",
    "Python-urllib/3.11",  # add-ons of Kodi
    "Kodi/20.2 (Linux; Android 11.0; BRAVIA 4K) Android/11.0.0 Sys_CPU/armv8l",
    "stagefright/1.2 (Linux;Android 9)",
    "ViewApp/5.2.0 (Linux;Android 12; BRAVIA 4K VH2) ExoPlayerLib/2.18.1",
    "ViewApp/5.3.0 CFNetwork/1496.0.7 Darwin/23.5.0",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile",
    "Mozilla/5.0 (Linux; U; Android 4.2.2; en-us; CUBOT GT99 Build/JDQ39) AppleWebKit/534.30 Mobile Safari/534.30",
    "Cubot/1.0 ExoPlayerLib/2.18.1",
    "Mozilla/5.0 (Linux; Android 14; Spider Bot 3 Build/UP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0",
    "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP3A.240617.008) AppleWebKit/537.36 (KHTML, like Gecko) Chrome",
    "Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) 94.0.4606.31/7.0 TV Safari/537.36",
    "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 WebAppManager",
    "HbbTV/1.5.1 (+DRM;Samsung;SmartTV2018:UAU7100;T-KTM2DEUC-1210.5;;) Chrome",
    "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile DuckDuckGo/5",
    "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0",  # Tor
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 340.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MetaIAB Facebook",
    "WhatsApp/2.23.20.0",
    "Talbot/2.1 (https://talbot.example)",
    "Mozilla/5.0 (Linux; Android 5.1.1; AFTT) AppleWebKit/537.36 (KHTML, like Gecko) Silk/126.3.1 like Chrome/126.0",
)


def view(
    agent: str | None = None, device: str | None = None, *, seconds: int = 60, ads: list[AdView] | None = None
) -> ViewEvent:
    return ViewEvent(
        UUID(int=1), "video", "viewer", "session", datetime(2026, 11, 20, tzinfo=UTC), seconds, True, device,
        ad_views=ads, user_agent=agent,
    )  # fmt: skip


def advertisements(*seconds: int) -> list[AdView]:
    return [AdView(f"ad-{index}", "mid_roll", each) for index, each in enumerate(seconds)]


@pytest.mark.parametrize("agent", ROBOTS)
def test_a_program_that_says_so_is_a_robot(agent: str) -> None:
    assert invalid_reason(view(agent), NEWEST) is InvalidReason.DECLARED_ROBOT


@pytest.mark.parametrize("agent", [*PLAYERS, "", None])
def test_what_people_watch_with_is_not_a_robot_whatever_the_device_is_called(agent: str | None) -> None:
    for device in (None, "mobile", "tablet", "desktop", "tv", "unknown", "app"):
        found = invalid_reason(view(agent, device), NEWEST)
        is_roku = agent is not None and agent.startswith("Roku") and device in ("mobile", "tablet", "desktop")
        assert found is (InvalidReason.DEVICE_CONTRADICTED if is_roku else None), device


@pytest.mark.parametrize(
    ("agent", "device", "is_contradicted"),
    [
        (CHROME, "iPhone", True),
        (CHROME, "ios", True),
        (IPHONE, "Android", True),
        (IPHONE, "ios", False),
        (IPHONE, "android_tv", False),  # it casts
        (CHROME, "tv", False),
        (CHROME, "desktop", False),  # a browser that asks for the page of a desktop, or an app on one
        ("Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; like iPhone OS 7_0_3 Mac OS X)", "iphone", False),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "android", False),
        ("Roku/DVP-12.0 (12.0.0.4182-AD)", "tv", False),
    ],
)  # fmt: skip
def test_only_pairs_that_cannot_be_are_a_contradiction(agent: str, device: str, is_contradicted: bool) -> None:
    assert (invalid_reason(view(agent, device), NEWEST) is InvalidReason.DEVICE_CONTRADICTED) is is_contradicted


@pytest.mark.parametrize(
    ("seconds", "ads", "is_impossible"),
    [
        (0, (30,) * 21, False),  # ten minutes before the video, and the longest beside them
        (0, (30,) * 22, True),
        (30, (30,) * 22, False),
        (5, (3_600, 30), False),  # one long one, seen to its end
        (5, (3_600, 3_600), True),
        (3_600, (60,) * 50, False),
        (31, (30,) * 50, True),
        (60, (), False),
    ],
)
def test_advertisements_are_impossible_where_no_view_has_room_for_them(
    seconds: int, ads: tuple[int, ...], is_impossible: bool
) -> None:
    found = invalid_reason(view(CHROME, seconds=seconds, ads=advertisements(*ads)), NEWEST)
    assert found is (InvalidReason.ADVERTISEMENTS_IMPOSSIBLE if is_impossible else None)


def test_an_advertisement_that_is_reported_often_is_one_advertisement() -> None:
    again = [AdView("ad", "mid_roll", 400)] * 50
    assert invalid_reason(view(CHROME, seconds=5, ads=again), NEWEST) is None
    assert invalid_reason(view(CHROME, seconds=5, ads=[AdView(str(each)) for each in range(50)]), NEWEST) is None


def test_what_was_counted_by_an_older_contract_stays_counted() -> None:
    for contract in range(1, INVALID_SINCE_CONTRACT):
        assert invalid_reason(view(ROBOTS[0]), contract) is None


def test_answers_are_kept_for_a_bounded_number_of_agents_of_bounded_length() -> None:
    reader = _readers()[0]
    for number in range(KEPT_AGENTS_MAX + 100):
        invalid_reason(view(f"Player/{number}".ljust(2_048)), NEWEST)
    kept = reader.read.cache_info()
    assert kept.currsize == kept.maxsize == KEPT_AGENTS_MAX
    found_before = kept.hits
    invalid_reason(view("x" * READ_LENGTH_MAX + "Googlebot/2.1"), NEWEST)
    assert invalid_reason(view("x" * READ_LENGTH_MAX + "curl/8.5.0"), NEWEST) is None, "what is beyond is not read"
    assert reader.read.cache_info().hits == found_before + 1


def test_the_day_of_an_event_chooses_the_versions_of_the_lists() -> None:
    robots, devices = shipped_lists()
    later = replace(robots, version=2, first_on=date(2027, 3, 1), lines=("Player/9",))
    found = lists_in_force((robots, devices, later))
    assert [(each.since, each.robots.version, each.devices.version) for each in found] == [
        (datetime(2027, 3, 1, tzinfo=UTC), 2, 1),
        (datetime(1970, 1, 1, tzinfo=UTC), 1, 1),
    ]


def test_the_lists_name_their_source_and_licence() -> None:
    for each in shipped_lists():
        assert each.source
        assert each.licence in ("MIT", "Apache-2.0")
        assert each.lines
        finder(each), remover(each)


def test_a_list_that_was_changed_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert read_lists(tmp_path) == shipped_lists()
    changed = tmp_path / "robots-1.txt"
    changed.write_bytes(changed.read_bytes() + b"Chrome\n")
    with pytest.raises(ListError, match=r"robots-1\.txt has the SHA-256 .*; install the program again"):
        read_lists(tmp_path)
    changed.unlink()
    with pytest.raises(ListError, match=r"robots-1\.txt cannot be read .*; install the program again"):
        read_lists(tmp_path)


def test_a_pattern_that_is_none_is_refused_with_the_name_of_its_list() -> None:
    broken: DatedList = replace(shipped_lists()[0], lines=("(",))
    with pytest.raises(ListError, match="list robots 1 has a pattern that RE2 refuses"):
        finder(broken)
    with pytest.raises(ListError, match="list robots 1 has a pattern that RE2 refuses"):
        remover(broken)
