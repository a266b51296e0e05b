"""Runs an ASGI application in the foreground until it is told to stop."""

import socket
from typing import Any

import uvicorn

from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

GRACE_SECONDS = 10
CONNECTION_BACKLOG = 2048


def listening_socket(host: str, port: int, variable: str) -> socket.socket:
    """Listens, or raises CommandError that names the address and the setting that moves it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CommandError(
            f"cannot listen on {host}:{port} ({error.strerror}); stop what holds the port, or set {variable}",
            ExitCode.UNAVAILABLE,
        ) from error
    return listener


def serve(app: Any, listener: socket.socket) -> ExitCode:
    """Serves until SIGTERM or Ctrl-C; then takes no new connection and finishes the requests under way, at most
    GRACE_SECONDS."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        backlog=CONNECTION_BACKLOG,
        proxy_headers=False,  # who the client is, is decided by the application
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises the signal again once it has stopped
        pass
    finally:
        listener.close()
    return ExitCode.OK
