"""Settings of the batch layer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch_layer.lake.spark_session import SparkSettings, jdbc_catalog
from ingestion.contract.event import TOPIC_VIDEO_VIEWS
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.resilience.failpoints import Failpoints
from speed_layer.redis_calls import NAMESPACE


@dataclass(frozen=True)
class BatchSettings:
    """What a batch run is told by its environment. The URLs may hold passwords and are never shown."""

    bootstrap: str
    topic: str
    redis_url: str
    speed_namespace: str
    postgres_url: str
    hdfs_url: str
    state: Path
    """Holds `reports`, one folder for each run, and `metrics`."""
    spark: SparkSettings
    failpoints: Failpoints

    def __repr__(self) -> str:
        return f"BatchSettings(bootstrap={self.bootstrap}, topic={self.topic}, hdfs_url={self.hdfs_url}, …)"

    @property
    def reports(self) -> Path:
        """Where the gate's reports go, one folder for each run."""
        return self.state / "reports"

    @property
    def metrics(self) -> Path:
        """The text file with the figures of the last run."""
        return self.state / "metrics" / "batch.prom"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "BatchSettings":
        """Read and checks the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        postgres_url = settings.url(environ, "VIEWLEDGER_POSTGRES_URL", schemes=("postgresql", "postgres"))
        hdfs_url = settings.url(environ, "VIEWLEDGER_HDFS_URL", schemes=("hdfs",)).rstrip("/")
        warehouse = environ.get("VIEWLEDGER_WAREHOUSE") or f"{hdfs_url}/warehouse"
        return cls(
            bootstrap=",".join(settings.host_ports(environ, "VIEWLEDGER_KAFKA_BOOTSTRAP")),
            topic=environ.get("VIEWLEDGER_TOPIC_VIDEO_VIEWS") or TOPIC_VIDEO_VIEWS,
            redis_url=settings.url(environ, "VIEWLEDGER_REDIS_URL", schemes=("redis", "rediss")),
            speed_namespace=environ.get("VIEWLEDGER_SPEED_NAMESPACE") or NAMESPACE,
            postgres_url=postgres_url,
            hdfs_url=hdfs_url,
            state=Path(settings.required(environ, "VIEWLEDGER_STATE_DIR")),
            spark=spark_settings(environ, jdbc_catalog(postgres_url, warehouse)),
            failpoints=Failpoints("batch", environ),
        )


def spark_settings(environ: Mapping[str, str], catalog: Mapping[str, str]) -> SparkSettings:
    """Read how Spark is to run; set up for short work, which a run with much to do changes."""
    jars = Path(settings.required(environ, "VIEWLEDGER_JARS"))
    if not any(jars.glob("iceberg-spark-runtime-*.jar")):
        raise CommandError(
            f"VIEWLEDGER_JARS is {jars}, which holds no Iceberg runtime; run the set-up", ExitCode.BAD_INPUT
        )
    memory = environ.get("VIEWLEDGER_SPARK_DRIVER_MEMORY") or "2g"
    if not re.fullmatch(r"[1-9]\d{0,5}[mg]", memory):
        raise CommandError(
            f"VIEWLEDGER_SPARK_DRIVER_MEMORY is {memory!r}; it must be like 900m or 2g", ExitCode.BAD_INPUT
        )
    return SparkSettings(
        jars=jars,
        catalog=catalog,
        master=environ.get("VIEWLEDGER_SPARK_MASTER") or "local[2]",
        shuffle_partitions=settings.integer(
            environ, "VIEWLEDGER_SPARK_SHUFFLE_PARTITIONS", default=4, least=1, most=100_000
        ),
        driver_memory=memory,
        is_short=True,
        log=Path(state) / "log" / "spark.log" if (state := environ.get("VIEWLEDGER_STATE_DIR")) else None,
    )
