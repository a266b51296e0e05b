"""Settings of receiving, counting and judging events: the collector, the speed layer, batch runs, the SQL server."""

from jobs.settings.day_kind import EventDay
from jobs.settings.kinds import Flag, LocalPath, Text, Whole

PSEUDONYM_KEY = Text(
    "VIEWLEDGER_PSEUDONYM_KEY",
    read_by="collector, api where it imports catalogues, `billing catalogue import`, `ingest`, `forget --user`",
    meaning="makes the pseudonyms of viewers; keep it for as long as the events",
    pattern="([0-9a-fA-F]{2}){32,}",
    form="an even number of hexadecimal digits, at least 64",
    is_secret=True,
)
TRAITS_KEY = Text(
    "VIEWLEDGER_TRAITS_KEY",
    read_by="batch, `rebuild batch`, `billing backtest` and `billing proof export` where a policy of traffic allows a "
    "network or agent",
    meaning="makes the keyed hashes of networks and user agents, with a key for each quarter; keep it for as long as "
    "the events",
    pattern="([0-9a-fA-F]{2}){32,}",
    form="an even number of hexadecimal digits, at least 64",
    is_secret=True,
)
TRAFFIC_RULED_FROM = EventDay(
    "VIEWLEDGER_TRAFFIC_RULED_FROM",
    read_by="`migrate`, batch, `rebuild batch`",
    meaning="the first event day of the first policy of traffic, which the migration `traffic_policies` puts in force; "
    "later ones are proposed. Batch runs refuse where it is set and no policy of traffic is in force",
    without="the first day for which the newest version has a policy of traffic; a new database has no policy",
)
PLAY_KEYS_FILE = LocalPath(
    "VIEWLEDGER_PLAY_KEYS_FILE",
    read_by="collector, api, `ingest`",
    meaning="a file with the keys of plays: a JWK Set; the first one with a secret signs",
    without="an event with a play is refused, and the API signs none",
)
PLAY_AUDIENCE = Text(
    "VIEWLEDGER_PLAY_AUDIENCE",
    read_by="collector, api, `ingest`",
    meaning="for whom plays are signed; installations that share keys need different ones",
    default="viewledger",
    pattern="[A-Za-z0-9._:/-]{1,64}",
    form="1 to 64 of the characters A-Z a-z 0-9 . _ : / -",
)
PLAY_START_SECONDS = Whole(
    "VIEWLEDGER_PLAY_START_SECONDS",
    read_by="api",
    meaning="how long after it was signed a play may be begun",
    default=600,
    least=1,
    most=86_400,
)
ATTESTATION_KEYS_FILE = LocalPath(
    "VIEWLEDGER_ATTESTATION_KEYS_FILE",
    read_by="collector, speed, batch, `rebuild batch`, `ingest`",
    meaning="a file with the keys by which the log shows who vouches for an event: a JWK Set; the first one attests",
    without="no event is attested",
)
PLAYS_REQUIRED = Flag(
    "VIEWLEDGER_PLAYS_REQUIRED",
    read_by="collector",
    meaning="whether an event without a play is refused",
    default=False,
)
RECEIPT_KEYS_FILE = LocalPath(
    "VIEWLEDGER_RECEIPT_KEYS_FILE",
    read_by="collector, `receipts check`",
    meaning="a file with the keys of receipts: a JWK Set of Ed25519 keys; the first one with its private half signs",
    without="no receipt is given, and `receipts check` needs `--keys`",
)
RECEIPTS = Flag(
    "VIEWLEDGER_RECEIPTS",
    read_by="collector",
    meaning="1: every request gets a receipt; 0: only one that asks for it",
    default=False,
)
ACKNOWLEDGEMENT_MS_MAX = Whole(
    "VIEWLEDGER_ACKNOWLEDGEMENT_MS_MAX",
    read_by="collector",
    meaning="how long Kafka may take to acknowledge an event",
    default=5_000,
    least=500,
    most=60_000,
)
SPEED_GROUP = Text(
    "VIEWLEDGER_SPEED_GROUP",
    read_by="speed",
    meaning="the consumer group that shares the partitions",
    default="viewledger-speed",
)
SPEED_SESSION_TIMEOUT_MS = Whole(
    "VIEWLEDGER_SPEED_SESSION_TIMEOUT_MS",
    read_by="speed",
    meaning="how long a member may be silent before its partitions are reassigned",
    default=6_000,
    least=6_000,
    most=300_000,
)
SPEED_HORIZON_SECONDS = Whole(
    "VIEWLEDGER_SPEED_HORIZON_SECONDS",
    read_by="speed",
    meaning="how long an event's id is remembered, so that a repeat is not counted",
    default=7_200,
    least=2,
    most=86_400,
)
SPEED_UNKNOWN_VIDEOS_MAX = Whole(
    "VIEWLEDGER_SPEED_UNKNOWN_VIDEOS_MAX",
    read_by="speed",
    meaning="how many videos that are not in the catalogue a partition's segment takes",
    default=100_000,
    least=0,
    most=10_000_000,
)
STATE_DIR = LocalPath(
    "VIEWLEDGER_STATE_DIR",
    read_by="batch, maintain, `billing`, speed, sql",
    meaning="the folder for the gate's reports, Spark's log, what executors run, and the figures for a node exporter",
    without="no figures are written; refused by batch runs and maintenance, and where Spark runs on a cluster",
)
EXPIRY_GRACE_HOURS = Whole(
    "VIEWLEDGER_EXPIRY_GRACE_HOURS",
    read_by="maintain",
    meaning="how long what an expired version held stays for those who read it when it expired",
    default=24,
    least=0,
    most=840,
)
RETENTION_DAYS = Whole(
    "VIEWLEDGER_RETENTION_DAYS",
    read_by="maintain",
    meaning="how many days raw values and personal columns are kept; at least a month, the 35 days that its events may "
    "be late, and the days beside",
    default=400,
    least=70,
    most=36_500,
)
COMPACTION_FILES = Whole(
    "VIEWLEDGER_COMPACTION_FILES",
    read_by="maintain",
    meaning="a day of a table with more files than this beyond those that its rows need is compacted",
    default=24,
    least=1,
    most=100_000,
)
COMPACTION_GIB = Whole(
    "VIEWLEDGER_COMPACTION_GIB",
    read_by="maintain",
    meaning="how much a maintenance compacts, in GiB; one larger day is compacted alone",
    default=100,
    least=1,
    most=1_000_000,
)
SQL_STATEMENT_SECONDS = Whole(
    "VIEWLEDGER_SQL_STATEMENT_SECONDS",
    read_by="sql",
    meaning="how long a statement may run",
    default=300,
    least=1,
    most=86_400,
)
SQL_STATEMENTS_PER_CLIENT = Whole(
    "VIEWLEDGER_SQL_STATEMENTS_PER_CLIENT",
    read_by="sql",
    meaning="how many statements of one client run at the same time",
    default=16,
    least=1,
    most=32,
)
