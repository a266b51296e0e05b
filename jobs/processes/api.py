"""The API process: published versions from PostgreSQL, provisional counts from Redis, answers over HTTP."""

import logging

from jobs import settings
from jobs.exit_codes import ExitCode
from jobs.telemetry.json_log import log_json
from jobs.wiring.api_settings import ApiSettings
from serving_layer.request.request_ids import WithRequestId

logger = logging.getLogger(__name__)


def run() -> ExitCode:
    """Serve until stopped. Starts without PostgreSQL and Redis, too, and answers as soon as they do."""
    environ = settings.environment("API")
    chosen = ApiSettings.from_environ(environ)
    log_json()
    for handler in logging.getLogger().handlers:
        handler.addFilter(WithRequestId())
    listener = chosen.http.listen()
    # imported here: FastAPI and the clients of all servers take a while, which a refusal need not wait for
    from jobs.wiring.api import serve_api

    code = serve_api(environ, chosen, listener)
    logger.info("api stopped")
    return code
