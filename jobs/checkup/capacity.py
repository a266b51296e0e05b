"""What an installation needs for a number of views a day: measured coefficients, and what follows from them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from ingestion.contract.topics import PARTITION_COUNT, PARTITION_COUNT_MAX

DAY_SECONDS = 86_400
KEPT_VERSIONS_DAYS = 35
"""How long every version is kept (`published.expirable_versions`)."""
COPIES_LEAST = 2
"""One process of a kind can be gone and another still works."""


@dataclass(frozen=True)
class Coefficient:
    """One measured number, and where it is from."""

    name: str
    value: float
    unit: str
    source: str


SPEED_RATE = Coefficient(
    "speed_rate", 116_051, "events/s of one speed process", "bench_speed, median of 3 × 1,000,000 events, 2026-11-25"
)
COLLECTOR_RATE = Coefficient(
    "collector_rate", 1_155, "requests/s of one collector, one event with a play and an attestation each",
    "bench_collector, the lower of two runs on busy cores, 2026-11-28",
)  # fmt: skip
API_RATE = Coefficient(
    "api_rate", 5_873, "requests/s of one API process with access and limits",
    "bench_api, 64 connections, the lower of two runs, 2026-11-25",
)  # fmt: skip
ID_BYTES = Coefficient("id_bytes", 80, "bytes in Redis for each known id", "bench/README.md: 65 to 80 bytes an id")
ID_HORIZONS = Coefficient(
    "id_horizons", 1.5, "horizons for which an id is kept", "bench/README.md: 10,800 s at a horizon of 7,200 s"
)
EVENT_BYTES_KAFKA = Coefficient(
    "event_bytes_kafka", 423, "bytes of an event in Kafka's segments, one copy", "bench_storage, 2026-11-29"
)
EVENT_BYTES_LAKE = Coefficient(
    "event_bytes_lake", 196, "bytes of an event in all tables on HDFS, one copy",
    "bench_cluster, 19.6 MB for 100,000 events, 2026-11-28",
)  # fmt: skip
ARCHIVE_RATE = Coefficient(
    "archive_rate", 223_679, "events/s archived by one core", "bench_batch, 447,358/s on two cores, 2026-11-24"
)
COUNT_RATE = Coefficient(
    "count_rate", 226_840, "events/s deduplicated and counted by one core",
    "bench_batch, 453,680/s on two cores, 2026-11-24",
)  # fmt: skip
RUN_SECONDS = Coefficient(
    "run_seconds", 31.3, "seconds of a batch run that do not depend on its events",
    "bench_resident, one cold run of 2,000 events, 2026-11-28",
)  # fmt: skip
EXECUTOR_MEBIBYTES = Coefficient(
    "executor_mebibytes", 2_369, "MiB of one executor", "bench_cluster, Java 2,209 and Python 160 MiB, 2026-11-28"
)
DRIVER_MEBIBYTES = Coefficient(
    "driver_mebibytes", 2_265, "MiB of the driver of batch runs",
    "bench_resident, Java 2,007 MiB after the last run; bench_cluster, Python 258 MiB, 2026-11-28",
)  # fmt: skip
CELL_BYTES = Coefficient(
    "cell_bytes", 49, "bytes in PostgreSQL for a changed cell of the series",
    "bench/README.md: 84,206 cells in 2.4 MB and 0.9 MB of index, and 10 bytes for the seconds of each",
)  # fmt: skip
COUNT_BYTES = Coefficient(
    "count_bytes", 127, "bytes in PostgreSQL for a video's counts in one version", "bench_storage, 2026-11-29"
)
STATEMENT_BYTES = Coefficient(
    "statement_bytes", 3_469, "bytes in PostgreSQL for a statement, its steps and its transaction",
    "bench_storage, 2026-11-29",
)  # fmt: skip
LINE_BYTES = Coefficient("line_bytes", 573, "bytes in PostgreSQL for a rated line", "bench_storage, 2026-11-29")
COEFFICIENTS = (
    SPEED_RATE, COLLECTOR_RATE, API_RATE, ID_BYTES, ID_HORIZONS, EVENT_BYTES_KAFKA, EVENT_BYTES_LAKE, ARCHIVE_RATE,
    COUNT_RATE, RUN_SECONDS, EXECUTOR_MEBIBYTES, DRIVER_MEBIBYTES, CELL_BYTES, COUNT_BYTES, STATEMENT_BYTES, LINE_BYTES,
)  # fmt: skip
"""Every number that a plan rests on and that was measured: on two shared virtual cores, beside servers and clients."""


@dataclass(frozen=True)
class Load:
    """What is planned for; everything but the views is assumed unless it is given."""

    views_per_day: int
    peak_factor: int
    """The busiest minute's rate over the mean."""
    reads_per_second: int
    videos: int
    """Videos that get views on a day."""
    payees: int
    run_minutes: int
    """From the start of a batch run to the next."""
    horizon_seconds: int
    kafka_days: int
    retention_days: int
    copies: int
    """Copies that Kafka and HDFS keep of everything."""
    busy_percent: int
    """How much of its measured rate a process is to be used."""

    @property
    def peak_rate(self) -> float:
        """Return the events/s of the busiest minute."""
        return self.views_per_day / DAY_SECONDS * self.peak_factor


@dataclass(frozen=True)
class Need:
    """One line of a plan."""

    name: str
    amount: int
    unit: str
    because: str


def plan(load: Load) -> list[Need]:
    """Return what a load needs.

    Raises:
        ValueError: it needs more than one installation has; the sentence says what is the most.
    """
    return [*_processes(load), *_batch(load), *_storage(load), *_postgres(load)]


def _processes(load: Load) -> Iterator[Need]:
    peak = load.peak_rate
    yield Need(
        "peak rate", ceil(peak), "events/s", f"{load.views_per_day:,} views a day, {load.peak_factor} × the mean"
    )
    speed = _copies(peak, SPEED_RATE, load)
    partitions = max(PARTITION_COUNT, 12 * ceil(2 * speed / 12))
    if partitions > PARTITION_COUNT_MAX:
        processes = PARTITION_COUNT_MAX // 12 * 12 // 2
        most = int(processes * SPEED_RATE.value * load.busy_percent / 100 / load.peak_factor * DAY_SECONDS)
        raise ValueError(
            f"{load.views_per_day:,} views a day need {partitions} partitions; at most {PARTITION_COUNT_MAX} are "
            f"supported: plan for {most:,} views a day or fewer, or lower the peak factor"
        )
    because = f"{PARTITION_COUNT} at least, and two for each speed process; set VIEWLEDGER_PARTITIONS"
    yield Need("partitions", partitions, "", because)
    yield Need("collectors", _copies(peak, COLLECTOR_RATE, load), "processes", _why(COLLECTOR_RATE, load))
    yield Need("speed processes", speed, "processes", _why(SPEED_RATE, load))
    yield Need("API processes", _copies(load.reads_per_second, API_RATE, load), "processes", _why(API_RATE, load))
    ids = peak * load.horizon_seconds * ID_HORIZONS.value
    because = f"{ceil(ids):,} ids known at the peak rate for {ID_HORIZONS.value} horizons, {ID_BYTES.value} bytes each"
    yield Need("Redis memory", ceil(ids * ID_BYTES.value), "bytes", f"{because}; the same for each replica")


def _batch(load: Load) -> Iterator[Need]:
    seconds = load.run_minutes * 60 * load.busy_percent / 100 - RUN_SECONDS.value
    if seconds < 1:
        raise ValueError(
            f"runs every {load.run_minutes} minutes leave no time beside the {RUN_SECONDS.value} s of each; "
            "give --run-every-minutes more"
        )
    events = ceil(load.peak_rate * load.run_minutes * 60)
    cores = ceil(events * (1 / ARCHIVE_RATE.value + 1 / COUNT_RATE.value) / seconds)
    because = f"{events:,} events of a busiest run, archived and counted within {seconds:.0f} s"
    executors = max(COPIES_LEAST, cores)
    yield Need("executors", executors, "of one core", because)
    yield Need("executors' memory", executors * _mebibytes(EXECUTOR_MEBIBYTES), "bytes", _each(EXECUTOR_MEBIBYTES))
    yield Need("driver's memory", _mebibytes(DRIVER_MEBIBYTES), "bytes", DRIVER_MEBIBYTES.source)


def _storage(load: Load) -> Iterator[Need]:
    for name, coefficient, days in (
        ("Kafka disk", EVENT_BYTES_KAFKA, load.kafka_days),
        ("warehouse disk", EVENT_BYTES_LAKE, load.retention_days),
    ):
        amount = ceil(load.views_per_day * coefficient.value * days * load.copies)
        yield Need(name, amount, "bytes", f"{days} days, {load.copies} copies, {coefficient.value:g} bytes an event")


def _postgres(load: Load) -> Iterator[Need]:
    runs = ceil(24 * 60 / load.run_minutes)
    cells = ceil(load.views_per_day * CELL_BYTES.value)
    yield Need("PostgreSQL, series a day", cells, "bytes", f"at most one changed cell a view, {_each(CELL_BYTES)}")
    changed = min(load.videos, ceil(load.views_per_day / runs)) * runs * KEPT_VERSIONS_DAYS
    because = f"{changed:,} changed counts in the versions of {KEPT_VERSIONS_DAYS} days, {_each(COUNT_BYTES)}"
    yield Need("PostgreSQL, served counts", ceil(changed * COUNT_BYTES.value), "bytes", because)
    bills = ceil(load.payees * STATEMENT_BYTES.value + load.videos * LINE_BYTES.value)
    each = f"{STATEMENT_BYTES.value:g} and {LINE_BYTES.value:g} bytes"
    because = f"{load.payees:,} statements and {load.videos:,} lines of {each}"
    yield Need("PostgreSQL, bills a month", bills, "bytes", because)


def _copies(rate: float, coefficient: Coefficient, load: Load) -> int:
    return max(COPIES_LEAST, ceil(rate / (coefficient.value * load.busy_percent / 100)))


def _why(coefficient: Coefficient, load: Load) -> str:
    return f"{load.busy_percent} % of {coefficient.value:g} {coefficient.unit}; {COPIES_LEAST} at least"


def _each(coefficient: Coefficient) -> str:
    return f"{coefficient.value:g} {coefficient.unit}"


def _mebibytes(coefficient: Coefficient) -> int:
    return ceil(coefficient.value) << 20
