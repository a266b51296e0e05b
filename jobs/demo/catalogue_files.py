"""The demo's catalogue: every channel a payee, written as the files that `billing catalogue import` reads."""

import csv
import hashlib
from pathlib import Path

import yaml

from jobs.demo.maker import SHORT_VIDEO_SECONDS, Traffic, payee_user

_SERIES = (
    "Slow mornings", "Street food", "Small repairs", "Night train", "Garden diary", "One-pan dinners", "Old cameras",
    "Desk setups", "City walks", "Home studio", "Trail running", "Kitchen science",
)  # fmt: skip
_PLACES = (
    "in Lisbon", "by the sea", "for beginners", "in the rain", "on a budget", "with my brother", "in ten minutes",
    "after dark", "from scratch", "that nobody shows you", "in Kyoto", "without a plan",
)  # fmt: skip
RATES_FILE = Path(__file__).parents[2] / "deploy" / "sample" / "rates.yaml"


def payee_id(channel: str) -> str:
    """Return a payee id for a channel: titles are not unique forever, and not every title is a good id."""
    return "channel-" + hashlib.sha256(channel.encode()).hexdigest()[:12]


def video_title(video_id: str) -> str:
    """Return a plausible title for a video, always the same one."""
    number = int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:4])
    series, place = _SERIES[number % len(_SERIES)], _PLACES[number // len(_SERIES) % len(_PLACES)]
    return f"{series} {place} #{number % 97 + 1}"


def sample_rates() -> dict[str, int]:
    """Return the sample card's micros per thousand billable views by country, `*` for every other country."""
    [contract] = yaml.safe_load(RATES_FILE.read_text())["contracts"]
    [card] = contract["cards"]
    rates = card["rate_per_thousand_micros"]
    return {"*": rates["default"], **rates["by_country"]}


def write_catalogue(traffic: Traffic, folder: Path) -> list[str]:
    """Write payees.csv and videos.csv and return the arguments that import them with the sample rates."""
    payees, videos = folder / "payees.csv", folder / "videos.csv"
    with payees.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["payee_id", "name", "user_id"])
        for channel in sorted(set(traffic.channel_of.values())):
            writer.writerow([payee_id(channel), channel, payee_user(channel)])
    with videos.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "payee_id", "length_seconds", "title"])
        for video_id, channel in sorted(traffic.channel_of.items()):
            length = SHORT_VIDEO_SECONDS if video_id in traffic.short_videos else ""
            writer.writerow([video_id, payee_id(channel), length, video_title(video_id)])
    return [
        "billing",
        "catalogue",
        "import",
        "--payees",
        str(payees),
        "--videos",
        str(videos),
        "--rates",
        str(RATES_FILE),
    ]
