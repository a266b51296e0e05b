"""Settings of the batch layer: of its servers, and of runs, which also judge and so hold keys."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

from batch_layer.judging.batch_keys import BatchKeys
from batch_layer.lake.spark_settings import YARN, Executors, SparkSettings, jdbc_catalog
from ingestion.contract.brokers import Brokers
from ingestion.contract.traits import TraitsKey
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import Failpoints
from jobs.settings.brokers import read_brokers
from jobs.settings.declared import spark
from jobs.settings.declared.billing import ALLOWED_LATENESS_HOURS
from jobs.settings.declared.pipeline import STATE_DIR, TRAFFIC_RULED_FROM, TRAITS_KEY
from jobs.settings.declared.servers import (
    HDFS_URL,
    POSTGRES_URL,
    REDIS_URL,
    SPEED_NAMESPACE,
    TOPIC_VIDEO_VIEWS,
    WAREHOUSE,
)
from jobs.wiring.attestations import read_all_attestation_keys

SHORT_RUN_EVENTS_MAX = 2_000_000
"""For fewer events Spark is configured to start fast instead of running fast."""
INTERPRETED_EVENTS_MAX = 20_000
INTERPRETED_STORED_MAX = 1_000_000
"""For fewer new events beside fewer stored ones compiling a query takes longer than interpreting it."""
STORED_EVENTS_PER_TASK = 500_000
"""A run with few new events may judge the traffic of any stored ones."""


@dataclass(frozen=True)
class BatchSettings:
    """How the batch layer reaches its servers. The URLs may hold passwords and are never shown."""

    brokers: Brokers
    topic: str
    redis_url: str
    speed_namespace: str
    postgres_url: str
    hdfs_url: str
    state: Path
    """Holds `reports`, one folder for each run, and `metrics`."""
    spark: SparkSettings
    failpoints: Failpoints
    allowed_lateness: timedelta
    """How long after the end of a day its traffic is judged, as in billing."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(brokers={self.brokers}, topic={self.topic}, hdfs_url={self.hdfs_url}, …)"

    @property
    def reports(self) -> Path:
        """Return the folder of the gate's reports, with one folder for each run."""
        return self.state / "reports"

    @property
    def metrics(self) -> Path:
        """Return the text file with the figures of the last run."""
        return self.state / "metrics" / "batch.prom"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "BatchSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        postgres_url = POSTGRES_URL.read(environ)
        hdfs_url = HDFS_URL.read(environ).rstrip("/")
        warehouse = WAREHOUSE.read_if_set(environ) or f"{hdfs_url}/warehouse"
        return cls(
            brokers=read_brokers(environ),
            topic=TOPIC_VIDEO_VIEWS.read(environ),
            redis_url=REDIS_URL.read(environ),
            speed_namespace=SPEED_NAMESPACE.read(environ),
            postgres_url=postgres_url,
            hdfs_url=hdfs_url,
            state=STATE_DIR.read(environ),
            spark=spark_settings(environ, jdbc_catalog(postgres_url, warehouse)),
            failpoints=Failpoints("batch", environ),
            allowed_lateness=timedelta(hours=ALLOWED_LATENESS_HOURS.read(environ)),
        )


@dataclass(frozen=True, repr=False)
class RunSettings(BatchSettings):
    """The settings of a batch run."""

    keys: BatchKeys
    traffic_ruled_from: date | None
    """The day from which a policy of traffic is expected to be in force; None: none is expected."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "RunSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        of_servers = BatchSettings.from_environ(environ)
        return cls(
            **{each.name: getattr(of_servers, each.name) for each in fields(of_servers)},
            keys=BatchKeys(
                TraitsKey(bytes.fromhex(TRAITS_KEY.read(environ))),
                *read_all_attestation_keys(environ),
            ),
            traffic_ruled_from=TRAFFIC_RULED_FROM.read_if_set(environ),
        )


def spark_settings(environ: Mapping[str, str], catalog: Mapping[str, str]) -> SparkSettings:
    """Read how Spark runs; configured for short work, which a large run changes."""
    jars, master = spark.JARS.read(environ), spark.SPARK_MASTER.read(environ)
    if not any(jars.glob("iceberg-spark-runtime-*.jar")):
        raise CommandError(
            f"{spark.JARS.name} is {jars}, which holds no Iceberg runtime; run the set-up", ExitCode.BAD_INPUT
        )
    return SparkSettings(
        jars=jars,
        catalog=catalog,
        master=master,
        executors=None if master.startswith("local") else _executors(environ, master),
        shuffle_partitions=spark.SPARK_SHUFFLE_PARTITIONS.read(environ),
        driver_memory=spark.SPARK_DRIVER_MEMORY.read(environ),
        is_short=True,
        log=state / "log" / "spark.log" if (state := STATE_DIR.read_if_set(environ)) else None,
    )


def _executors(environ: Mapping[str, str], master: str) -> Executors:
    hadoop = spark.HADOOP_CONF_DIR.read_if_set(environ)
    if master == YARN and (hadoop is None or not (hadoop / "yarn-site.xml").is_file()):
        found = "is not set" if hadoop is None else f"is {str(hadoop)!r}, which holds no yarn-site.xml"
        raise CommandError(
            f"{spark.HADOOP_CONF_DIR.name} {found}; it must be the folder with YARN's settings where "
            f"{spark.SPARK_MASTER.name} is {YARN}",
            ExitCode.BAD_INPUT,
        )
    return Executors(
        archives=STATE_DIR.read(environ) / "executors",
        python=spark.SPARK_EXECUTOR_PYTHON.read(environ),
        count=spark.SPARK_EXECUTORS.read(environ),
        cores=spark.SPARK_EXECUTOR_CORES.read(environ),
        memory=spark.SPARK_EXECUTOR_MEMORY.read(environ),
        driver_host=spark.SPARK_DRIVER_HOST.read_if_set(environ),
        start_seconds=spark.SPARK_START_SECONDS.read(environ),
    )
