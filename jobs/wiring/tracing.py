"""The settings of traces, and the traces of a process while it runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from ingestion.contract.unavailable import one_line
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.listening import TRACE_SHARE, TRACE_URL

if TYPE_CHECKING:
    from jobs.telemetry.tracing import Tracing


@dataclass(frozen=True)
class TraceSettings:
    """Where traces are sent, if anywhere, and how many."""

    url: str | None
    share: float

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "TraceSettings":
        """Read and check the settings; wrong ones raise CommandError(BAD_INPUT) naming the variable."""
        return cls(TRACE_URL.read_if_set(environ), TRACE_SHARE.read(environ))

    @contextmanager
    def opened(self, process: str, registry: CollectorRegistry) -> Iterator["Tracing | None"]:
        """Trace the work of the block; yield None while traces are off.

        Raises:
            CommandError: BAD_INPUT: a variable of the library's own is wrong.
        """
        if self.url is None:
            yield None
            return
        from jobs.telemetry.tracing import open_tracing  # imported here: it takes 0.3 s, and traces are mostly off

        try:
            tracing = open_tracing(self.url, process, registry, share=self.share)
        except ValueError as error:  # the library's own variables are read by it alone
            raise CommandError(f"a variable OTEL_… is wrong: {one_line(error)}", ExitCode.BAD_INPUT) from error
        try:
            yield tracing
        finally:
            tracing.close()
