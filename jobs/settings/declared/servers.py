"""Settings of the servers' addresses, and of the names used on them."""

from ingestion.contract import topics
from ingestion.contract.brokers import MECHANISMS, PROTOCOLS
from jobs.settings.address_kinds import HostPorts, PostgresUrl, RedisUrl, Url
from jobs.settings.kinds import LocalPath, Text, Whole, port

KAFKA_READERS = "collector, speed, batch, commands"

KAFKA_BOOTSTRAP = HostPorts(
    "VIEWLEDGER_KAFKA_BOOTSTRAP",
    read_by=KAFKA_READERS,
    meaning="the brokers of Kafka",
)
KAFKA_SECURITY_PROTOCOL = Text(
    "VIEWLEDGER_KAFKA_SECURITY_PROTOCOL",
    read_by=KAFKA_READERS,
    meaning="how the brokers are spoken to: with TLS (SSL), with a user and a password (SASL), with both",
    default=PROTOCOLS[0],
    pattern="|".join(PROTOCOLS),
    form=f"one of {', '.join(PROTOCOLS)}",
)
KAFKA_CA_FILE = LocalPath(
    "VIEWLEDGER_KAFKA_CA_FILE",
    read_by=KAFKA_READERS,
    meaning="a PEM file with the authorities that sign the brokers' certificates",
    without="those that the system trusts",
)
KAFKA_CERTIFICATE_FILE = LocalPath(
    "VIEWLEDGER_KAFKA_CERTIFICATE_FILE",
    read_by=KAFKA_READERS,
    meaning="a PEM file with the client's certificate, for brokers that know clients by it (mTLS)",
    without="no certificate is shown",
)
KAFKA_KEY_FILE = LocalPath(
    "VIEWLEDGER_KAFKA_KEY_FILE",
    read_by=KAFKA_READERS,
    meaning="a PEM file with the key of that certificate, in PKCS#8 form without a password",
    without="refused where `VIEWLEDGER_KAFKA_CERTIFICATE_FILE` is set",
)
KAFKA_SASL_MECHANISM = Text(
    "VIEWLEDGER_KAFKA_SASL_MECHANISM",
    read_by=KAFKA_READERS,
    meaning="how the password is proven; PLAIN sends it, and is refused without TLS",
    default=MECHANISMS[0],
    pattern="|".join(MECHANISMS),
    form=f"one of {', '.join(MECHANISMS)}",
)
KAFKA_USER = Text(
    "VIEWLEDGER_KAFKA_USER",
    read_by=KAFKA_READERS,
    meaning="the user of this process; each has rights of its own (docs/operate/secure-servers.md)",
    without="refused where the protocol has SASL",
)
KAFKA_PASSWORD = Text(
    "VIEWLEDGER_KAFKA_PASSWORD",
    read_by=KAFKA_READERS,
    meaning="the user's password",
    without="refused where the protocol has SASL",
    is_secret=True,
)
PARTITIONS = Whole(
    "VIEWLEDGER_PARTITIONS",
    read_by="api, commands",
    meaning="the number of partitions of the topic of views, chosen before it is made",
    default=topics.PARTITION_COUNT,
    least=topics.PARTITION_COUNT,
    most=topics.PARTITION_COUNT_MAX,
)
REPLICATION_FACTOR = Whole(
    "VIEWLEDGER_REPLICATION_FACTOR",
    read_by="`topics`, `doctor`",
    meaning="on how many brokers each partition is kept",
    default=1,
    least=1,
    most=9,
)
MIN_INSYNC_REPLICAS = Whole(
    "VIEWLEDGER_MIN_INSYNC_REPLICAS",
    read_by="`topics`, `doctor`",
    meaning="on how many brokers an event is stored before it is acknowledged; at most the replication factor",
    default=1,
    least=1,
    most=9,
)
TOPIC_VIDEO_VIEWS = Text(
    "VIEWLEDGER_TOPIC_VIDEO_VIEWS",
    read_by="collector, speed, batch, commands",
    meaning="the topic of the events",
    default=topics.TOPIC_VIDEO_VIEWS,
)
TOPIC_DEAD_LETTERS = Text(
    "VIEWLEDGER_TOPIC_DEAD_LETTERS",
    read_by="speed, `dead-letters`",
    meaning="the topic of rejected messages",
    default=topics.TOPIC_DEAD_LETTERS,
)
REDIS_URL = RedisUrl(
    "VIEWLEDGER_REDIS_URL",
    read_by="speed, api, batch, commands",
    meaning="Redis, with the counts of the speed layer",
    schemes=("redis", "rediss"),
    is_secret=True,
)
SPEED_NAMESPACE = Text(
    "VIEWLEDGER_SPEED_NAMESPACE",
    read_by="speed, api, batch, commands",
    meaning="the prefix of the speed layer's keys in Redis",
    default="views",
)
POSTGRES_URL = PostgresUrl(
    "VIEWLEDGER_POSTGRES_URL",
    read_by="speed, api, batch, commands",
    meaning="PostgreSQL: versions, catalogue, ledger; migrations need a login that may create roles",
    is_secret=True,
)


def _login(name: str, *, of: str) -> PostgresUrl:
    return PostgresUrl(
        name,
        read_by=f"{of}, `migrate --logins`",
        meaning=f"PostgreSQL with the login of {of}; its database is that of `VIEWLEDGER_POSTGRES_URL`",
        without="`VIEWLEDGER_POSTGRES_URL`",
        is_secret=True,
    )


SPEED_POSTGRES_URL = _login("VIEWLEDGER_SPEED_POSTGRES_URL", of="speed")
API_POSTGRES_URL = _login("VIEWLEDGER_API_POSTGRES_URL", of="api")
PIPELINE_POSTGRES_URL = _login("VIEWLEDGER_PIPELINE_POSTGRES_URL", of="batch")
BILLING_POSTGRES_URL = _login("VIEWLEDGER_BILLING_POSTGRES_URL", of="`billing`")
APPROVER_POSTGRES_URL = _login("VIEWLEDGER_APPROVER_POSTGRES_URL", of="`billing`, for approvals")
REVIEWER_POSTGRES_URL = _login("VIEWLEDGER_REVIEWER_POSTGRES_URL", of="`traffic`, for decisions")
NOTICES_POSTGRES_URL = _login("VIEWLEDGER_NOTICES_POSTGRES_URL", of="`billing notices send`")
KEYS_POSTGRES_URL = _login("VIEWLEDGER_KEYS_POSTGRES_URL", of="`keys`")
SQL_POSTGRES_URL = PostgresUrl(
    "VIEWLEDGER_SQL_POSTGRES_URL",
    read_by="sql, `migrate --logins`",
    meaning="PostgreSQL with the login of the SQL server, which may only read",
    is_secret=True,
)
HDFS_URL = Url(
    "VIEWLEDGER_HDFS_URL",
    read_by="batch, `billing`, `sql`, `export`",
    meaning="the NameNode of HDFS, or a nameservice by its name alone (docs/operate/availability.md)",
    schemes=("hdfs",),
)
NAMENODE_HTTP_PORT = port(
    "VIEWLEDGER_NAMENODE_HTTP_PORT",
    read_by="`doctor`, the portal",
    meaning="the NameNode's HTTP port on this machine, which shows whether HDFS accepts writes",
    without="HDFS is not checked",
)
WAREHOUSE = Text(
    "VIEWLEDGER_WAREHOUSE",
    read_by="batch, `billing`",
    meaning="the folder of the Iceberg tables",
    without="`warehouse` on `VIEWLEDGER_HDFS_URL`",
)
SQL_URL = Url(
    "VIEWLEDGER_SQL_URL",
    read_by="api, `sql`, `export`, `billing`, analysts' package",
    meaning="the SQL server for Spark Connect",
    default="sc://127.0.0.1:17073",
    schemes=("sc",),
)
ICEBERG_URL = Url(
    "VIEWLEDGER_ICEBERG_URL",
    read_by="analysts' package",
    meaning="the SQL server's Iceberg catalogue",
    default="http://127.0.0.1:17074",
    schemes=("http", "https"),
)
