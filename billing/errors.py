"""The errors that billing raises on purpose. Messages are sentences for the user: what, where, and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingestion.contract.refusals import DatabaseRule
from ingestion.contract.unavailable import Part, UnavailableError


class BillingError(Exception):
    """The base class of every error below; never raised itself."""


class Precondition(StrEnum):
    """A condition for billing a period; the values begin the sentences and are labels of a metric."""

    RECONCILED = "reconciled"
    """Archive, tables, served counts and ledger agree."""
    SETTLED = "settled"
    """The version covers the whole period; only time fulfils it."""
    TRAFFIC_JUDGED = "traffic_judged"
    """The day rules of traffic have judged each day of the period that a policy of theirs rules."""
    OVERLAP = "overlap"
    """No other billed period shares days with it."""
    IMPORT = "import"
    """There are a catalogue and contracts."""
    RESTATEMENT = "restatement"
    """A restated period was billed before."""


@dataclass(frozen=True)
class Failure:
    """A precondition that does not hold: which one, and one sentence with cause and remedy."""

    kind: Precondition
    sentence: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.sentence}"


class PreconditionsError(BillingError):
    """The period may not be billed now; `failures` names every reason with its remedy."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("\n".join(map(str, failures)))
        self.failures = tuple(failures)


class TermsError(BillingError):
    """A period cannot be rated by the requested versions; the sentence gives the reason and the versions that can."""


class NoticeRefusedError(BillingError):
    """A server refuses one notice, or its receiver; the sentence is the server's. Others may be accepted."""


class ChannelRefusedError(BillingError):
    """A server refuses every notice of this sender: its TLS, its user or its address."""


class PostingConflictError(BillingError):
    """Another posting exists under the same key or for the same days; `conflicts` names each."""

    def __init__(self, conflicts: Sequence[str]) -> None:
        super().__init__("\n".join(conflicts))
        self.conflicts = tuple(conflicts)


class SchemaMissingError(UnavailableError):
    """PostgreSQL answers, but the billing tables do not exist: waiting alone does not help."""

    def __init__(self, message: str) -> None:
        super().__init__(Part.POSTGRES, message)


class RoleRefusedError(SchemaMissingError):
    """PostgreSQL answers, but this login may not act in the role that the work needs."""


class EvidenceMismatchError(BillingError):
    """Counts and events of one version disagree: an invariant of the batch layer is broken; nothing may be posted."""


class KeyRefusedError(BillingError):
    """A signing key cannot be made or used; the sentence says why and what to do."""


class StateError(BillingError):
    """A step is not allowed: the message names the subject's state and the allowed next states."""


class UnknownNameError(StateError):
    """An unknown name: of a payee, a statement, a batch, a hold or an appeal."""


class DatabaseRefusedError(StateError):
    """A rule of the database refuses the change: its sentence, and its code (docs/reference/refusals.md)."""

    def __init__(self, sentence: str, sqlstate: str) -> None:
        super().__init__(f"{sentence} ({sqlstate})")
        self.sentence = sentence
        self.sqlstate = sqlstate

    def is_by(self, rule: DatabaseRule) -> bool:
        """Return whether this rule refuses."""
        return self.sqlstate == rule.sqlstate


class CheckpointRefusedError(BillingError):
    """A checkpoint cannot be made or stored now; the sentence gives the reason."""


class BundleRefusedError(BillingError):
    """A bundle cannot be written; the sentence gives the reason."""


class AcknowledgementError(BillingError):
    """The bank's answer and the ledger differ; `differences` names every line. Nothing was posted."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__("\n".join(differences))
        self.differences = tuple(differences)
