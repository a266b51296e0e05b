"""Decide which advertisements of an event count: by identity, by watched time, and in number.

An event above the absolute maximum breaks the contract and is rejected: no player shows that many, and the sender must
learn of it. A repeated advertisement, or one that does not fit into the view's time, is not counted, but the view is:
players often report an advertisement twice, and the view did happen. The archive keeps the list as it was sent.
"""

from ingestion.contract.event import AdView, ViewEvent

UNKNOWN_AD_TYPE = "unknown"
SECONDS_MIN = 5
"""The shortest duration of an advertisement; it replaces fewer watched seconds, or none."""


def counted_ad_types(event: ViewEvent) -> list[str]:
    """Return the type of each advertisement that counts, in the order sent.

    Each `ad_id` counts once in an event. Together they last at most as long as the view; each lasts its
    `watched_seconds`, at least five seconds. One that does not fit is skipped. The first always fits, since it plays
    before the video.
    """
    room = event.view_duration
    seen: set[str] = set()
    found: list[str] = []
    for each in event.ad_views or ():
        seconds = max(each.watched_seconds or 0, SECONDS_MIN)
        if each.ad_id not in seen and (seconds <= room or not found):
            room -= seconds
            found.append(type_of(each))
        seen.add(each.ad_id)
    return found


def type_of(ad_view: AdView) -> str:
    """Return the type of an advertisement as it is counted and paid."""
    return ad_view.ad_type or UNKNOWN_AD_TYPE
