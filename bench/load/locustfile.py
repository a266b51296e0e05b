"""Viewers' load on view counts, by Locust: known and unknown ids, one at a time and many at once.

    locust -f bench/load/locustfile.py --headless -H http://127.0.0.1:17070 -u 1000 -r 100 -t 1m

BENCH_VIDEO_IDS names a file with an id a line (those that are known); a fifth of the requests is for unknown ids.
"""

import os
import random
from pathlib import Path

from locust import FastHttpUser, between, task

LISTED = os.environ.get("BENCH_VIDEO_IDS")
KNOWN = Path(LISTED).read_text().split() if LISTED else ["-JinobXWPk"]
UNKNOWN_SHARE = 0.2


def video_id() -> str:
    """Return a known id, or sometimes an unknown one."""
    return f"nobody-{random.randrange(10_000)}" if random.random() < UNKNOWN_SHARE else random.choice(KNOWN)


class Viewer(FastHttpUser):
    """Reads counts about once a second."""

    wait_time = between(0.5, 1.5)

    @task(20)
    def one_video(self) -> None:
        """Request one count."""
        self.client.get(f"/v1/videos/{video_id()}/views", name="/v1/videos/{id}/views")

    @task(1)
    def many_videos(self) -> None:
        """Request a page's counts at once."""
        self.client.post("/v1/views:lookup", json={"video_ids": [video_id() for _ in range(20)]})
