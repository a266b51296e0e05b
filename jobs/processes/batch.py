"""The resident driver of batch runs: one process that keeps Spark warm and does a run at every tick.

Spark is never started a second time in it: when its Java process has ended, or its session is broken, this process
ends with UNAVAILABLE, and its supervisor starts another one.
"""

import gc
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

from batch_layer.run.ports import RunObserver
from batch_layer.run.run_result import RunResult
from jobs import settings
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.http.connections import ConnectionLimits
from jobs.http.probes import probe_app
from jobs.http.server import listening_socket, served_beside
from jobs.processes.batch_driver import BatchDriver, Ended
from jobs.processes.batch_figures import BatchFigures
from jobs.processes.stopping import heed_signals, stopping_on_signals
from jobs.settings.declared.listening import BATCH_METRICS_PORT, BIND_HOST
from jobs.telemetry.json_log import in_every_line, log_json
from jobs.wiring.batch_errors import silence_libraries
from jobs.wiring.batch_run import do_run
from jobs.wiring.batch_settings import RunSettings
from jobs.wiring.observed_runs import ObservedRuns
from jobs.wiring.tracing import TraceSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResidentSettings:
    """The settings of the resident driver."""

    batch: RunSettings
    host: str
    port: int
    limits: ConnectionLimits
    traces: TraceSettings

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "ResidentSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        batch = RunSettings.from_environ(environ)
        return cls(
            batch=replace(batch, spark=replace(batch.spark, is_short=False)),
            host=BIND_HOST.read(environ),
            port=BATCH_METRICS_PORT.read(environ),
            limits=ConnectionLimits.from_environ(environ),
            traces=TraceSettings.from_environ(environ),
        )


def run(*, every: timedelta) -> ExitCode:
    """Do batch runs until SIGTERM or Ctrl-C, and finish the run at hand. UNAVAILABLE if Spark's Java process ends.

    It waits for servers that do not answer, also at the start; meanwhile `/readyz` answers 503 and names the server.
    """
    chosen = ResidentSettings.from_environ(settings.environment("PIPELINE"))
    log_json()
    silence_libraries()
    figures = BatchFigures(every_seconds=every.total_seconds())
    with ExitStack() as running:
        stopping = running.enter_context(stopping_on_signals())
        listener = listening_socket(chosen.host, chosen.port, BATCH_METRICS_PORT.name)
        app = probe_app(obstacle=figures.obstacle, metrics=figures.exposition)
        running.enter_context(served_beside(app, listener, chosen.limits))
        tracing = running.enter_context(chosen.traces.opened("batch", figures.registry))
        runs = ObservedRuns(tracing, running.enter_context(in_every_line()))
        resident = ResidentSpark(chosen.batch)
        heed_signals(stopping)  # Spark has taken Ctrl-C
        figures.started()
        logger.info("batch ready", extra={"fields": {"every_seconds": every.total_seconds(), "port": chosen.port}})

        def observe(ended: Ended, pause: float) -> None:
            figures.ended(ended)
            _log(ended, pause)

        BatchDriver(
            lambda: runs.do(resident.run),
            observe,
            every_seconds=every.total_seconds(),
            monotonic=time.monotonic,
            wait=stopping.wait,
        ).loop()
    logger.info("batch stopped")
    return ExitCode.OK


class ResidentSpark:
    """The one Spark session of this process, and runs on it, each with connections of its own."""

    def __init__(self, chosen: RunSettings) -> None:
        """Start Spark."""
        # imported here: pyspark takes a second, which a wrong setting need not wait for
        from batch_layer.lake.spark_session import open_session

        self._chosen, self._session = chosen, open_session(chosen.spark)

    def run(self, observer: RunObserver | None = None) -> RunResult:
        """Do one run; raise CommandError(UNAVAILABLE) if Spark is broken, before it or after it."""
        from batch_layer.lake.spark_session import is_usable, released

        if not is_usable(self._session):
            raise _ended()
        try:
            with released(self._session):
                return do_run(self._chosen, session=self._session, progress=_log_step, observer=observer)
        except Exception as error:
            if is_usable(self._session):
                raise
            raise _ended() from error
        finally:
            gc.collect()  # also what Java keeps for the sake of Python's objects


def _ended() -> CommandError:
    return CommandError("Spark's Java process has ended, or its session is broken; start again", ExitCode.UNAVAILABLE)


def _log_step(stage: str, text: str) -> None:
    logger.info("batch step", extra={"fields": {"stage": stage, "text": text}})


def _log(ended: Ended, pause: float) -> None:
    fields: dict[str, object] = {"outcome": ended.outcome.value, "text": ended.text}
    fields |= {"seconds": round(ended.seconds, 3), "next_in_seconds": round(pause, 1)}
    if ended.result is not None:
        fields |= {"archived": ended.result.archived_count, "stage_seconds": dict(ended.result.stage_seconds)}
    level = logger.info if ended.outcome.is_success else logger.warning
    level("batch run ended", extra={"fields": fields})
