"""The settings of a Spark session, without Spark's own code, which takes long to load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingestion.contract.postgres_address import PostgresAddress

CATALOG = "ledger"
YARN = "yarn"


@dataclass(frozen=True)
class Executors:
    """The processes of a cluster that do this session's work."""

    archives: Path
    """Folder for the archive of the Python code that they run."""
    python: str
    """The Python on their machines; its minor version must be this process's."""
    count: int = 2
    cores: int = 1
    memory: str = "2g"
    driver_host: str | None = None
    """The name of this machine for executors; None: Spark finds one."""
    start_seconds: int = 120
    """How long the first one may take to run our code."""


@dataclass(frozen=True)
class SparkSettings:
    """Where Spark runs and how much of the machine it may use."""

    jars: Path
    """Folder with the Kafka connector, the Iceberg runtime and the PostgreSQL driver; nothing is downloaded."""
    catalog: Mapping[str, str]
    """Iceberg catalog properties; see `jdbc_catalog`, `folder_catalog` and `rest_catalog`."""
    catalog_name: str = CATALOG
    master: str = "local[2]"
    """`local[N]`, or a cluster: `spark://host:port`, several with commas, or `yarn`."""
    executors: Executors | None = None
    """None: this process does all work itself."""
    shuffle_partitions: int = 4
    """Tasks of a shuffle; about two for each core of the cluster."""
    driver_memory: str = "2g"
    is_short: bool = False
    """For up to a few million events: no second compiler and no re-planning between the stages of a query. Measured
    with 100,000 events, a whole run then costs 63 instead of 113 seconds of CPU."""
    log: Path | None = None
    """File for Spark's own messages; None: stderr."""
    extra: Mapping[str, str] = field(default_factory=dict)


def jdbc_catalog(postgres_url: str, warehouse: str) -> dict[str, str]:
    """Return the properties of a catalog kept in PostgreSQL with its tables under `warehouse`."""
    address = PostgresAddress.of(postgres_url)
    return {
        "type": "jdbc",
        "uri": address.of_java,
        "jdbc.user": address.user,
        "jdbc.password": address.password,
        "jdbc.schema-version": "V1",
        **{f"jdbc.{name}": value for name, value in connecting(address).items()},
        "jdbc.socketTimeout": "60",
        "warehouse": warehouse,
    }


def connecting(address: PostgresAddress) -> dict[str, str]:
    """Return the properties of Java's client by which a session may be a pooler's and connecting ends: 5 s a server."""
    seconds = 5
    return {
        "connectTimeout": str(seconds),
        "loginTimeout": str(seconds * len(address.servers)),
        # a statement that one transaction prepares would be missing in the session of the next
        "prepareThreshold": "0",
    }


def folder_catalog(warehouse: str) -> dict[str, str]:
    """Return the properties of a catalog in a folder, for tests and benchmarks."""
    return {"type": "hadoop", "warehouse": warehouse}


def rest_catalog(url: str, namespace: str) -> dict[str, str]:
    """Return the properties of a catalog over HTTP; names without a namespace are looked up in `namespace`."""
    # a client is waiting: report an unreachable catalog server after one more try
    return {"type": "rest", "uri": url, "default-namespace": namespace, "rest.client.max-retries": "1"}
