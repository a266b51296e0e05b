"""The Kafka topics: their names, and the number of partitions that keeps a video's events in one place."""

TOPIC_VIDEO_VIEWS = "video-views"
PARTITION_COUNT, PARTITION_COUNT_MAX = 12, 256
"""Partitions of the topic of views: how many as a rule, and at most. The number is chosen before the topic is made:
another one would send the events of a video to another partition."""
TOPIC_AD_VIEWS = "ad-views"
TOPIC_USER_SESSIONS = "user-sessions"
TOPIC_DEAD_LETTERS = "video-views-dlq"
TOPIC_CLOCK = "viewledger-clock"
"""A record sent to it shows the broker's time; its content means nothing."""
