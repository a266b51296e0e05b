"""The SQL server as a process: Spark Connect on the published versions, and their Iceberg catalogue over HTTP."""

import logging
import signal
import threading

from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.telemetry.json_log import log_json
from jobs.wiring.sql_server import SqlServerSettings, sql_server

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often Spark's Java process is checked."""


def run() -> ExitCode:
    """Serve until stopped; FAILED if Spark's Java process ends first."""
    chosen = SqlServerSettings.from_environ(settings.environment())
    log_json()
    with sql_server(chosen) as server:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stopped.set())
        logger.info("sql ready", extra={"fields": {"host": chosen.host, "port": chosen.port}})
        while not stopped.wait(LOOK_SECONDS):
            if server.java.poll() is not None:
                logger.error("spark ended", extra={"fields": {"code": server.java.returncode}})
                return ExitCode.FAILED
    logger.info("sql stopped")
    return ExitCode.OK
