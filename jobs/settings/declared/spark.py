"""Settings of Spark: where it runs, how much it may use, and its executors on a cluster."""

from jobs.settings.address_kinds import SparkMaster
from jobs.settings.kinds import LocalPath, Text, Whole

READ_BY = "batch, maintain, `billing`, sql"
ON_A_CLUSTER = "batch, maintain, `billing`, sql on a cluster"
MEMORY = r"[1-9]\d{0,5}[mg]"
MEMORY_FORM = "like 900m or 2g"

JARS = LocalPath(
    "VIEWLEDGER_JARS",
    read_by=READ_BY,
    meaning="the folder with Spark's jars",
)
SPARK_MASTER = SparkMaster(
    "VIEWLEDGER_SPARK_MASTER",
    read_by=READ_BY,
    meaning="where Spark runs: on cores of this machine or on a cluster",
    default="local[2]",
)
SPARK_DRIVER_MEMORY = Text(
    "VIEWLEDGER_SPARK_DRIVER_MEMORY",
    read_by=READ_BY,
    meaning="the memory of Spark's driver",
    default="2g",
    pattern=MEMORY,
    form=MEMORY_FORM,
)
SPARK_SHUFFLE_PARTITIONS = Whole(
    "VIEWLEDGER_SPARK_SHUFFLE_PARTITIONS",
    read_by=READ_BY,
    meaning="the number of partitions of Spark's shuffles; about two for each core of the executors",
    default=4,
    least=1,
    most=100_000,
)
SPARK_EXECUTORS = Whole(
    "VIEWLEDGER_SPARK_EXECUTORS",
    read_by=ON_A_CLUSTER,
    meaning="the number of executors",
    default=2,
    least=1,
    most=10_000,
)
SPARK_EXECUTOR_CORES = Whole(
    "VIEWLEDGER_SPARK_EXECUTOR_CORES",
    read_by=ON_A_CLUSTER,
    meaning="the cores of an executor",
    default=1,
    least=1,
    most=256,
)
SPARK_EXECUTOR_MEMORY = Text(
    "VIEWLEDGER_SPARK_EXECUTOR_MEMORY",
    read_by=ON_A_CLUSTER,
    meaning="the memory of an executor's Java; its Python workers take more beside it",
    default="2g",
    pattern=MEMORY,
    form=MEMORY_FORM,
)
SPARK_EXECUTOR_PYTHON = Text(
    "VIEWLEDGER_SPARK_EXECUTOR_PYTHON",
    read_by=ON_A_CLUSTER,
    meaning="the Python on the executors' machines, of the same minor version as the driver's",
    default="python3.11",
    pattern=r"\S+",
    form="a program's name or path without spaces",
)
SPARK_DRIVER_HOST = Text(
    "VIEWLEDGER_SPARK_DRIVER_HOST",
    read_by=ON_A_CLUSTER,
    meaning="the name or address by which executors reach the driver's machine",
    without="Spark chooses an address of this machine",
    pattern=r"[A-Za-z0-9.:\[\]-]{1,253}",
    form="a host's name or address",
)
SPARK_START_SECONDS = Whole(
    "VIEWLEDGER_SPARK_START_SECONDS",
    read_by=ON_A_CLUSTER,
    meaning="how long a cluster may take until an executor has run our code",
    default=120,
    least=10,
    most=3_600,
)
HADOOP_CONF_DIR = LocalPath(
    "HADOOP_CONF_DIR",
    read_by=READ_BY,
    meaning="the folder with Hadoop's settings: yarn-site.xml for YARN, hdfs-site.xml for a nameservice of HDFS",
    without="refused where Spark runs on YARN; every name in a URL of HDFS is a host",
)
