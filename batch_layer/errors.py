"""The errors that stop a batch run. Each message is one sentence for the operator."""

from collections.abc import Sequence


class BatchError(Exception):
    """A run stopped on purpose and published nothing."""


class RefusedError(BatchError):
    """A precondition of the run does not hold; the run did nothing."""


class AtWorkError(RefusedError):
    """Something else holds the one lock of what writes the tables."""

    def __init__(self) -> None:
        super().__init__("a batch run or a maintenance is at work; wait for it to end")


class PooledError(RefusedError):
    """Locks last as long as a session, and a pooler gives a session to others after each transaction."""

    def __init__(self) -> None:
        super().__init__(
            "the URL of PostgreSQL leads to a pooler, which cannot hold the lock of a run; name PostgreSQL's own "
            "servers in VIEWLEDGER_POSTGRES_URL, and for batch runs in VIEWLEDGER_PIPELINE_POSTGRES_URL"
        )


class BackupAtWorkError(RefusedError):
    """A backup relies on the tables' files, so that nothing may remove one."""

    def __init__(self) -> None:
        super().__init__("a backup copies the files of the tables; wait for it to end")


class EarlierLayoutError(RefusedError):
    """The tables of a version have the layout of an earlier release."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} has the tables of an earlier release; run `./viewledger batch upgrade`")


class ArchiveError(BatchError):
    """The archived offsets differ from the requested ranges: a broken invariant, never retried."""


class UnreadableLogError(BatchError):
    """The log holds bytes that cannot be read; a retry does not help."""


class GateFailedError(BatchError):
    """The gate refused the run's branch, which is kept for inspection."""

    def __init__(self, failures: Sequence[str], report: str) -> None:
        super().__init__(
            f"the gate refused the run, and nothing was published: {'; '.join(failures[:3])}; the report is {report}. "
            "./viewledger rebuild batch finds out whether what is published is right; "
            "docs/operate/runbook/gate-refused.md goes on from there"
        )
        self.failures = tuple(failures)
        self.report = report


class DifferenceError(BatchError):
    """Numbers that must agree differ; the message names the first file, or table and day."""
