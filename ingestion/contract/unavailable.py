"""The one error of every layer for a part of the system that does not answer, and the parts by name."""

from enum import StrEnum


class Part(StrEnum):
    """The parts that others wait for; the values are those of metrics and of problem documents."""

    KAFKA = "kafka"
    REDIS = "redis"
    """No problem for the API: without it counts are served, settled only."""
    POSTGRES = "postgres"
    HDFS = "hdfs"
    SPARK = "spark"
    """The Spark of this process, with the disks that it writes to and the tables that it reads."""
    SQL = "sql"
    """The SQL server, through which others read the batch tables."""
    SPEED = "speed"
    """The speed layer, which is counting again what it had lost. No problem for the API either."""
    IDENTITY_PROVIDER = "identity_provider"
    SMTP = "smtp"
    """The server that takes e-mail to payees. The API never waits for it."""
    WEBHOOK = "webhook"
    """The receiver of notices to payees. The API never waits for it."""
    PROCESS = "process"
    """The process that answers: it has as much to do as it may, or versions change under it. Another try may do."""


PART_NAMES: dict[Part, str] = {
    Part.KAFKA: "Kafka",
    Part.REDIS: "Redis",
    Part.POSTGRES: "PostgreSQL",
    Part.HDFS: "HDFS",
    Part.SPARK: "Spark",
    Part.SQL: "The SQL server",
    Part.SPEED: "The speed layer",
    Part.IDENTITY_PROVIDER: "The identity provider",
    Part.SMTP: "The SMTP server",
    Part.WEBHOOK: "The webhook",
    Part.PROCESS: "This process",
}
"""Part → its name for people, as a sentence begins with it."""

_HINT = "\t"
"""How a line begins in which PostgreSQL's client guesses at a reason."""


class UnavailableError(Exception):
    """A part does not answer in time; the same call may work a moment later.

    The message is one sentence that names the server, its address and the reason; code decides by `part` alone.
    """

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part = part


def does_not_answer(part: Part, error: BaseException) -> UnavailableError:
    """Return the error for a part that does not answer, with the words of its client."""
    words = "\n".join(line for line in str(error).splitlines() if not line.startswith(_HINT))
    return UnavailableError(part, f"{PART_NAMES[part]} does not answer ({_on_one_line(words, error)})")


def one_line(error: BaseException) -> str:
    """Return the words of a client's error on one line; the name of its class if it has none."""
    return _on_one_line(str(error), error)


def _on_one_line(words: str, error: BaseException) -> str:
    return " ".join(words.split()) or type(error).__name__
