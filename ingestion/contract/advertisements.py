"""Which advertisements of an event count: the one rule, by identity, by watched time, and in number.

What breaks the absolute maximum breaks the contract and is rejected: no player shows so many, and the sender must hear
of it. What is repeated, or has no room in the view, is not counted and the view is: a player that reports an
advertisement twice is common, and the view did happen. The archive keeps the list as it was sent.
"""

from ingestion.contract.event import AdView, ViewEvent

UNKNOWN_AD_TYPE = "unknown"
SECONDS_MIN = 5
"""How long an advertisement lasts at least; one that names fewer watched seconds, or none, takes these."""


def counted_ad_types(event: ViewEvent) -> list[str]:
    """Return the type of each advertisement that counts, in the order sent.

    Each `ad_id` counts once in an event. Together they last at most as long as the view did, each as long as its
    `watched_seconds` say and at least five seconds; one that has no room left takes none. The first always has room,
    for it plays before the video.
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
