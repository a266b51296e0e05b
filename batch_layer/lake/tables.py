"""The batch tables as records: the purpose of each, and the meaning of every column, used as the tables' comments."""

from collections.abc import Mapping

from batch_layer.lake import aggregates
from batch_layer.lake.table_records import Column, Table

RAW_EVENTS = "raw_events"
EVENTS = "events"
VIEWERS = "viewers"
VIDEO_FACTS = "video_facts"
TRAFFIC_OUTCOMES = "traffic_outcomes"
VIEWS_BY_VIDEO = aggregates.BY_VIDEO.table
VIEWS_BY_VIDEO_DAY = aggregates.BY_VIDEO_DAY.table
VIEWS_BY_DETAIL = aggregates.DETAIL.table
REJECTED_EVENTS = "rejected_events"
TALLY = aggregates.TALLY.table
UNIQUE_VIEWERS = aggregates.UNIQUE_VIEWERS.table

CLOSED_TABLES = (RAW_EVENTS, REJECTED_EVENTS, VIDEO_FACTS, TRAFFIC_OUTCOMES)
"""These hold messages as their senders wrote them, who owns a video, or what the rules of traffic weigh: analysts have
no right to them or their files.
`events` has the verdict on each message."""
ERASABLE_TABLES = (RAW_EVENTS, REJECTED_EVENTS, VIEWERS)
"""These hold what persons sent, and are erased: no version keeps its snapshots of them for long."""


_TOPIC = Column("topic", "string", "Kafka topic")
_PLACE = (
    Column("partition", "int", "Kafka partition"),
    Column(
        "offset",
        "bigint",
        "Kafka offset within the partition, plus 2^40 for each earlier generation of the log; with it, the one name "
        "of a message",
    ),
    Column("appended_at", "timestamp", "The broker's append time: when the event was received"),
)
_VIDEO = Column("video_id", "string", "The video that was watched")
_EVENT_DAY = Column("event_day", "date", "UTC day of the view")
_COUNTRY = Column(
    "country", "string", "Country of the viewer as two letters of ISO 3166; ZZ when absent or none that is known"
)
_DEVICE = Column("device_type", "string", "As the player sent it; unknown when absent")
_REASONS = Column(
    "reasons",
    "array<struct<code: string, detail: string>>",
    "Every rule of the contract that a rejected event breaks; of any other event, the reason why it is invalid traffic "
    "unless it has another verdict, or null",
)
_COUNTS = (
    Column("views", "bigint", "Counted events"),
    Column("billable_views", "bigint", "Counted events that are billable under the policy"),
    Column("watched_seconds", "bigint", "Seconds watched in the counted events: the sum of their view_duration"),
    Column("length_known_views", "bigint", "Counted events of which quartile is known, as the length of the video is"),
    *(
        Column(f"reached_{percent}", "bigint", f"Counted events that lasted {percent} % of the video's length or more")
        for percent in (25, 50, 75, 100)
    ),
)
_POLICY = Column("policy_version", "int", "The counting policy of the event day")
_VALUE = Column("value", "binary", "The message's value, untouched")
_ID_HASH = Column(
    "id_hash", "bigint", "xxhash64 of event_id, by which events of one id are found; files are sorted by it"
)
_ROW_UPDATES = {
    "write.merge.mode": "merge-on-read",
    "write.distribution-mode": "none",
    "write.spark.fanout.enabled": "true",
    # a lookup of few ids reads few row groups
    "write.parquet.row-group-size-bytes": str(8 << 20),
}
"""Single rows are replaced: a position delete and a new row, so that files of other rows stay as they are."""
_BY_FILES = {"write.distribution-mode": "none", "write.spark.fanout.enabled": "true"}
_BOUNDS = "write.metadata.metrics"
_NO_BOUNDS_OF_VALUES = {f"{_BOUNDS}.column.value": "none"}
"""Lists of files would name the beginnings of values, and stay for a while after the files were erased."""
_BOUNDS_OF_KEYS = {
    f"{_BOUNDS}.default": "counts",
    **{f"{_BOUNDS}.column.{name}": "full" for name in ("partition", "offset", "event_day", "id_hash", "viewer_hash")},
}
"""The same for personal columns: there are bounds of the columns by which rows are found, and of no other."""

TABLES: dict[str, Table] = {
    RAW_EVENTS: Table(
        (
            _TOPIC,
            *_PLACE,
            Column("key", "binary", "The message's key, untouched"),
            _VALUE,
            Column("run_id", "string", "The batch run that archived it"),
        ),
        "days(appended_at)",
        "The log: every message exactly as it was on Kafka. Closed to analysts",
        _BY_FILES | _NO_BOUNDS_OF_VALUES,
    ),
    EVENTS: Table(
        (
            *_PLACE,
            Column(
                "event_id",
                "string",
                "UUID in canonical form; of a rejected event the text sent where that is none, or null",
            ),
            _ID_HASH,
            Column(
                "video_id",
                "string",
                "The video watched; of a rejected event the message's key, where it is one",
            ),
            Column(
                "happened_at",
                "timestamp",
                "The event's own timestamp; not to be trusted where rejected or late_review",
            ),
            Column("event_day", "date", "UTC day of happened_at; of appended_at for rejected and late_review events"),
            Column("event_hour", "timestamp", "UTC hour of the same instant as event_day"),
            Column("view_duration", "int", "Seconds watched"),
            Column("revenue_eligible", "boolean", "Whether the view may earn money, by the player"),
            _COUNTRY,
            _DEVICE,
            Column(
                "ad_types",
                "array<string>",
                "Type of each advertisement that counts, each once in an event while the view has room for it; "
                "unknown if the player did not send it",
            ),
            Column(
                "attested",
                "boolean",
                "Whether a key that was in force at its place vouches for the message, as the collector does for a "
                "view with a play",
            ),
            Column("payload_digest", "binary", "Equal for two events exactly when the player sent the same values"),
            Column(
                "verdict",
                "string",
                "The one outcome: counted, duplicate, conflict, rejected, late_review or invalid_traffic",
            ),
            _REASONS,
            Column(
                "billability",
                "string",
                "Set exactly for counted events: billable, or the first rule it fails "
                "(not_eligible, unattested, below_minimum, own_view, over_cap, under_review, traffic_pending)",
            ),
            _POLICY,
            Column(
                "quartile",
                "int",
                "Of counted events: how many quarters of the video's length view_duration has, 0 to 4; null if the "
                "catalogue does not know the length",
            ),
        ),
        "event_day",
        "Every archived event with its one verdict",
        _ROW_UPDATES,
    ),
    VIEWERS: Table(
        (
            _PLACE[0],
            _PLACE[1],
            _EVENT_DAY,
            _ID_HASH,
            Column("viewer_hash", "bigint", "xxhash64 of user_id and video_id, by which views of one viewer are found"),
            Column(
                "user_id",
                "string",
                "The viewer: a pseudonym without a way back of what came through the collector; what a direct producer "
                "sent stands as it was sent",
            ),
            Column("session_id", "string", "The player's session, a pseudonym or not like user_id"),
            Column(
                "network",
                "string",
                "A keyed hash of the client's /24 or /48; the key changes with each quarter of the day of happened_at",
            ),
            Column(
                "network_kind",
                "string",
                "relay, vpn or data_centre with the version of the list, as the collector wrote it; never a verdict "
                "alone",
            ),
            Column("agent", "string", "A keyed hash of the user agent, like that of network"),
            Column("agent_class", "string", "The coarse family of the user agent: program/system"),
            Column("referrer_host", "string", "The host of the page that the viewer came from"),
            Column("quality", "string", "As the player sent it"),
            Column("ad_seconds", "int", "Seconds watched of all advertisements together"),
        ),
        "event_day",
        "The personal columns of well-formed events, by their place in the log; kept apart, because they are erased. "
        "What an event does not say is null",
        _ROW_UPDATES | _BOUNDS_OF_KEYS,
    ),
    VIDEO_FACTS: Table(
        (
            _VIDEO,
            Column("length_seconds", "int", "Length of the video; null if unknown"),
            Column(
                "own_viewers",
                "array<struct<user_id: string, from_on: date, to_on: date>>",
                "Viewers whose views are of their own video on the days [from_on, to_on)",
            ),
            Column("since_version", "bigint", "The catalogue version by which a run first judged with these facts"),
        ),
        "bucket(8, video_id)",
        "The catalogue's facts that decide which views are billable; a video without any has no row. Closed to "
        "analysts",
        _ROW_UPDATES,
    ),
    TRAFFIC_OUTCOMES: Table(
        (
            _PLACE[0],
            _PLACE[1],
            _EVENT_DAY,
            Column("payee_id", "string", "The owner of the largest share of the video on the day; null without any"),
            Column(
                "outcome",
                "string",
                "invalid: no viewer made it; review: a person must decide on its payee, reason and day together; "
                "released or confirmed: a person did, and it counts as without any rule, or is invalid",
            ),
            Column("reason", "string", "Code of the reason with the most points"),
            Column("points", "int", "What all reasons together weigh"),
        ),
        "event_day",
        "What the day rules of traffic said when they last judged each day, of events that were counted but for them; "
        "of all other events they said nothing. Closed to analysts",
        _ROW_UPDATES,
    ),
    VIEWS_BY_VIDEO: Table(
        (_VIDEO, *_COUNTS),
        "bucket(8, video_id)",
        "All settled views of a video; a video without one has no row",
        _ROW_UPDATES,
    ),
    VIEWS_BY_VIDEO_DAY: Table(
        (_VIDEO, _EVENT_DAY, *_COUNTS, _POLICY),
        "event_day",
        "Settled views of a video by event day",
        _ROW_UPDATES,
    ),
    VIEWS_BY_DETAIL: Table(
        (_VIDEO, _EVENT_DAY, _COUNTRY, _DEVICE, *_COUNTS, _POLICY),
        "event_day",
        "Settled views of a video by event day, country and device",
        _ROW_UPDATES,
    ),
    UNIQUE_VIEWERS: Table(
        (
            _VIDEO,
            _EVENT_DAY,
            Column(
                "unique_viewers",
                "bigint",
                "Different viewers of the counted events; stays as it is when their personal columns are removed. "
                "Numbers of several days or videos do not add up: who comes again is one viewer",
            ),
        ),
        "event_day",
        "How many viewers a video had on an event day",
        _ROW_UPDATES,
    ),
    REJECTED_EVENTS: Table(
        (
            _TOPIC,
            *_PLACE,
            Column("event_id", "string", "As in events"),
            _REASONS,
            _VALUE,
        ),
        "days(appended_at)",
        "Events that break the contract, with every reason and as they were sent. Closed to analysts",
        _BY_FILES | _NO_BOUNDS_OF_VALUES,
    ),
    TALLY: Table(
        (
            _PLACE[0],
            Column("event_day", "date", "As in events"),
            Column("event_hour", "timestamp", "As in events"),
            Column("verdict", "string", "As in events"),
            Column(
                "reason", "string", "Code of the first reason of rejected and invalid_traffic events; empty for others"
            ),
            Column("event_count", "bigint", "Events of this partition, hour, verdict and reason"),
        ),
        "event_day",
        "How many events got which verdict; it adds up to the events received",
        _ROW_UPDATES,
    ),
}

OPEN_TABLES = tuple(name for name in TABLES if name not in CLOSED_TABLES)
"""The tables that analysts may read."""


def is_todays_layout(columns: Mapping[str, Mapping[str, str]]) -> bool:
    """Return whether tables, given as their columns and types, are those of this release; in any order."""
    return columns == {name: {each.name: each.type_name for each in table.columns} for name, table in TABLES.items()}
