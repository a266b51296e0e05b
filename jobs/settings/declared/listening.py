"""Settings of the processes' addresses, and of their limits for clients."""

from jobs.settings.address_kinds import Addresses, Origins, Url
from jobs.settings.kinds import Number, Text, Whole, port

BIND_HOST = Text(
    "VIEWLEDGER_BIND_HOST",
    read_by="collector, speed, api, sql, `run batch`",
    meaning="the address on which a process listens",
    default="127.0.0.1",
)
COLLECTOR_PORT = port(
    "VIEWLEDGER_COLLECTOR_PORT",
    read_by="collector",
    meaning="the port on which events arrive",
    default=17071,
)
COLLECTOR_EVENTS_PER_NETWORK = Whole(
    "VIEWLEDGER_COLLECTOR_EVENTS_PER_NETWORK",
    read_by="collector",
    meaning="how many events a second one network (/24, /48) may send to a process, on average over a minute; 0: any",
    default=3_000,
    least=0,
    most=1_000_000,
)
COLLECTOR_EVENTS_PER_PLAY_KEY = Whole(
    "VIEWLEDGER_COLLECTOR_EVENTS_PER_PLAY_KEY",
    read_by="collector",
    meaning="how many events a second with plays of one key a process takes, on average over a minute; 0: any",
    default=0,
    least=0,
    most=1_000_000,
)
API_PORT = port("VIEWLEDGER_API_PORT", read_by="api", meaning="the port of the API and the portal", default=17070)
SQL_PORT = port("VIEWLEDGER_SQL_PORT", read_by="sql", meaning="the port of Spark Connect", default=17073)
ICEBERG_PORT = port(
    "VIEWLEDGER_ICEBERG_PORT",
    read_by="sql, `doctor`, the portal",
    meaning="the port of the Iceberg catalogue and of the SQL server's probes",
    default=17074,
)
METRICS_HOST = Text(
    "VIEWLEDGER_METRICS_HOST",
    read_by="collector, api",
    meaning="the address on which `/metrics` is served",
    default="127.0.0.1",
)
COLLECTOR_METRICS_PORT = port(
    "VIEWLEDGER_COLLECTOR_METRICS_PORT",
    read_by="collector",
    meaning="the port of `/metrics`; 0: nowhere",
    default=0,
    least=0,
)
API_METRICS_PORT = port(
    "VIEWLEDGER_API_METRICS_PORT",
    read_by="api",
    meaning="the port of `/metrics`; 0: nowhere",
    default=0,
    least=0,
)
SPEED_METRICS_PORT = port(
    "VIEWLEDGER_SPEED_METRICS_PORT",
    read_by="speed",
    meaning="the port of `/metrics` and of the probes; 0: a free one",
    default=17072,
    least=0,
)
BATCH_METRICS_PORT = port(
    "VIEWLEDGER_BATCH_METRICS_PORT",
    read_by="`run batch`",
    meaning="the port of `/metrics` and of the probes; 0: a free one",
    default=17077,
    least=0,
)
LISTEN_FD = Whole(
    "VIEWLEDGER_LISTEN_FD",
    read_by="collector, api",
    meaning="the number of an open listening socket to take over, which processes may share",
    without="the process opens its own",
    least=3,
    most=65_535,
)
DRAIN_SECONDS = Number(
    "VIEWLEDGER_DRAIN_SECONDS",
    read_by="collector, api",
    meaning="how long a process keeps answering after a stop signal, so that load balancers notice",
    default=1.0,
    least=0,
    most=300,
)
HTTP_CONNECTIONS = Whole(
    "VIEWLEDGER_HTTP_CONNECTIONS",
    read_by="collector, speed, api, `run batch`",
    meaning="how many connections a process takes",
    default=5_000,
    least=1,
    most=1_000_000,
)
HTTP_CONNECTIONS_PER_ADDRESS = Whole(
    "VIEWLEDGER_HTTP_CONNECTIONS_PER_ADDRESS",
    read_by="collector, speed, api, `run batch`",
    meaning="how many of them from one address that is not a trusted proxy's",
    default=500,
    least=1,
    most=1_000_000,
)
HTTP_URL_BYTES = Whole(
    "VIEWLEDGER_HTTP_URL_BYTES",
    read_by="collector, speed, api, `run batch`",
    meaning="how long a URL may be",
    default=8_192,
    least=256,
    most=65_536,
)
HTTP_HEADER_BYTES = Whole(
    "VIEWLEDGER_HTTP_HEADER_BYTES",
    read_by="collector, speed, api, `run batch`",
    meaning="how large a request's headers may be together",
    default=32_768,
    least=1_024,
    most=1_048_576,
)
HTTP_HEADER_SECONDS = Number(
    "VIEWLEDGER_HTTP_HEADER_SECONDS",
    read_by="collector, speed, api, `run batch`",
    meaning="how long the headers may take to arrive",
    default=10.0,
    least=0.1,
    most=300,
)
HTTP_BODY_SECONDS = Number(
    "VIEWLEDGER_HTTP_BODY_SECONDS",
    read_by="collector, speed, api, `run batch`",
    meaning="how long a body may take to arrive; routes have shorter times of their own",
    default=120.0,
    least=1,
    most=3_600,
)
HTTP_STALL_SECONDS = Number(
    "VIEWLEDGER_HTTP_STALL_SECONDS",
    read_by="collector, speed, api, `run batch`",
    meaning="how long a client may leave sent data unread",
    default=60.0,
    least=1,
    most=3_600,
)
TRUSTED_PROXIES = Addresses(
    "VIEWLEDGER_TRUSTED_PROXIES",
    read_by="collector, speed, api, `run batch`",
    meaning="the proxies whose `X-Forwarded-For` is believed",
    default=(),
)
COLLECTOR_ORIGINS = Origins(
    "VIEWLEDGER_COLLECTOR_ORIGINS",
    read_by="collector",
    meaning="the origins whose pages may send events by every form of a request, and read the answers",
    default=(),
)
TRACE_URL = Url(
    "VIEWLEDGER_TRACE_URL",
    read_by="collector, speed, batch, `run batch`",
    meaning="the receiver of traces, by OTLP over HTTP, like `http://127.0.0.1:4318`; `/v1/traces` is added",
    without="there are no traces",
    schemes=("http", "https"),
)
TRACE_SHARE = Number(
    "VIEWLEDGER_TRACE_SHARE",
    read_by="collector",
    meaning="the share of requests without a trace of their own that are traced",
    default=0.001,
    least=0,
    most=1,
)
