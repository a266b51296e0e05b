"""Wire the money half of the portal to the books in PostgreSQL: each call with the rights of the role it needs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from billing.books.postgres_books import PostgresBooks
from billing.books.postgres_holds import PostgresHolds
from billing.books.postgres_statement import Notice, PostgresStatements
from billing.books.postgres_states import PostgresStates
from billing.books.run_posting import finalise_run
from billing.books.statements import Statement
from billing.books.states import Move, Transition
from billing.errors import PostingConflictError, StateError
from billing.money import amount_text
from billing.payouts.bank_data import BankAccount, account_problems, electronic
from billing.payouts.postgres_own_account import ask_for_account
from billing.postgres_session import connector
from billing.proof.postgres_statement_bundle import bundle_of_statement
from billing.terms.postgres_catalogue import PostgresCatalogueStore
from billing.terms.postgres_proposals import PostgresProposals
from ingestion.contract.requests import KeyReusedError, OpenAppealError, RequestKey
from jobs.wiring.api_statements import detail_of, summary_of, titles_of
from jobs.wiring.billing_settings import APPROVER_ROLE, BILLING_ROLE
from serving_layer.access.postgres_reads import API_ROLE
from serving_layer.portal.ports import RefusedActionError
from serving_layer.portal.records import (
    AppealRow,
    EarnedBefore,
    HoldRow,
    ListedStatement,
    NoticeRow,
    ProposalRow,
    Step,
    WholeStatement,
)

SHOWN_MAX = 500
PROPOSALS_SHOWN, DIFFERENCES_SHOWN = 50, 10
_STATE_AFTER = {"approve": "approved", "review": "in_review", "void": "voided"}
_DECIDED = ("accepted", "rejected", "withdrawn")


class PortalBooks:
    """Implements `MoneyReads` and `MoneyActions` of `serving_layer.portal.ports`."""

    def __init__(self, url: str) -> None:
        reading, self._deciding, self._posting = (
            connector(url, role) for role in (API_ROLE, APPROVER_ROLE, BILLING_ROLE)
        )
        self._reading = reading
        self._statements = PostgresStatements(reading)
        self._catalogue = PostgresCatalogueStore(reading)
        self._holds = PostgresHolds(reading)
        self._proposals = PostgresProposals(reading)

    def name(self, payee_id: str) -> str | None:
        """Return a payee's name."""
        with _translated():
            return self._catalogue.payee_name(payee_id)

    def statements(self, payee_id: str | None) -> Sequence[ListedStatement]:
        """See the port."""
        with _translated():
            found = (
                self._statements.newest(SHOWN_MAX)
                if payee_id is None
                else self._statements.of_payee(payee_id, SHOWN_MAX)
            )
            return self._listed(found)

    def statements_in(self, state: str) -> Sequence[ListedStatement]:
        """See the port."""
        with _translated():
            found = self._statements.in_state(state, count_max=SHOWN_MAX)
            before = self._statements.before([statement.statement_id for statement, _ in found])
            return [
                replace(each, before=EarnedBefore(*earned))
                if (earned := before.get(each.summary.statement_id))
                else each
                for each in self._listed(found)
            ]

    def statement(self, statement_id: str) -> WholeStatement | None:
        """See the port."""
        with _translated():
            posted = self._statements.statement_by_id(statement_id)
            if posted is None:
                return None
            name = self._catalogue.payee_name(posted.statement.payee_id) or ""
            steps = self._statements.transitions("statement", statement_id)
            titles = titles_of(posted, self._catalogue)
            predecessor, successor = self._statements.neighbours(statement_id)
        return WholeStatement(detail_of(posted, titles), name, tuple(map(_step, steps)), successor, predecessor)

    def bundle(self, statement_id: str) -> bytes | None:
        """See the port."""
        with _translated():
            return bundle_of_statement(self._reading, statement_id, datetime.now(UTC))

    def steps(self, statement_ids: Sequence[str]) -> Mapping[str, Sequence[Step]]:
        """See the port."""
        with _translated():
            found = self._statements.steps(statement_ids)
        return {statement_id: [_step(each) for each in steps] for statement_id, steps in found.items()}

    def notices(self, payee_id: str) -> Sequence[NoticeRow]:
        """See the port."""
        with _translated():
            found = self._statements.notices(payee_id)
        return [
            NoticeRow(
                each.noticed_at,
                f"The statement for {each.period} was corrected by {amount_text(each.delta_micros, each.currency)}: "
                f"{each.cause}{_parts(each)}.",
                each.statement_id,
            )
            for each in found
        ]

    def appeals(self, payee_id: str | None) -> Sequence[AppealRow]:
        """See the port."""
        with _translated():
            found = self._holds.appeals(payee_id)[:SHOWN_MAX]
        return [
            AppealRow(
                each.appeal_id,
                each.statement_id,
                each.payee_id,
                each.state,
                each.objection,
                each.received_at,
                each.reason if each.state in _DECIDED else "",
            )
            for each in found
        ]

    def holds(self) -> Sequence[HoldRow]:
        """See the port."""
        with _translated():
            found = [each for each in self._holds.holds() if each.state == "pending"][:SHOWN_MAX]
        return [
            HoldRow(
                each.hold_id, each.payee_id, each.currency, each.amount_micros, each.state, each.reason, each.expires_at
            )
            for each in found
        ]

    def proposals(self) -> Sequence[ProposalRow]:
        """See the port."""
        with _translated():
            waiting = self._proposals.waiting()[:PROPOSALS_SHOWN]
            found = [(each, list(islice(self._proposals.differences(each), DIFFERENCES_SHOWN + 1))) for each in waiting]
        return [
            ProposalRow(
                each.proposal_id,
                each.actor,
                each.proposed_at,
                tuple(differences[:DIFFERENCES_SHOWN]),
                len(differences) <= DIFFERENCES_SHOWN,
            )
            for each, differences in found
        ]

    def appeal(self, statement_id: str, text: str, request: RequestKey) -> None:
        """See the port."""
        with _translated():
            PostgresHolds(self._posting).appeal(statement_id, text, request.caller, request)

    def ask_for_account(self, payee_id: str, holder_name: str, iban: str, email: str | None, actor: str) -> None:
        """See the port. An account is validated as that of an import."""
        account = BankAccount(payee_id, holder_name, electronic(iban), email=email)
        if problems := account_problems(account):
            raise RefusedActionError(" ".join(f"{text[0].upper()}{text[1:]}." for text in problems.values()))
        with _translated():
            ask_for_account(self._posting, account, actor)

    def decide(self, statement_id: str, decision: str, actor: str, reason: str) -> None:
        """See the port. An approved statement is posted at once, with the rights of billing."""
        with _translated():
            PostgresStates(self._deciding).move("statement", statement_id, Move(_STATE_AFTER[decision], actor, reason))
            if decision == "approve" and (posted := self._statements.statement_by_id(statement_id)) is not None:
                finalise_run(posted.statement.run_id, PostgresBooks(self._posting))

    def _listed(self, found: Sequence[tuple[Statement, str]]) -> list[ListedStatement]:
        names = self._catalogue.payee_names([statement.payee_id for statement, _ in found])
        newest = self._statements.newest_steps([statement.statement_id for statement, _ in found])
        return [
            ListedStatement(
                summary_of(statement, state),
                names.get(statement.payee_id, ""),
                _step(newest[statement.statement_id]),
            )
            for statement, state in found
        ]


def _parts(notice: Notice) -> str:
    """Return each cause with its part of the difference, if there are several."""
    parts = notice.causes or {}
    listed = ", ".join(f"{name} {amount_text(micros, notice.currency)}" for name, micros in parts.items())
    return f" ({listed})" if len(parts) > 1 else ""


def _step(step: Transition) -> Step:
    return Step(step.to_state, step.actor, step.reason, step.moved_at)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KeyReusedError as error:
        raise RefusedActionError("This form was sent before with another text; open the page again.") from error
    except (StateError, OpenAppealError, PostingConflictError) as error:
        text = str(error)
        raise RefusedActionError(f"{text[0].upper()}{text[1:]}.") from error
