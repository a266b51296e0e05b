"""`./viewledger sql ["SELECT …"]`: query the tables of a published version; without a statement, a prompt."""

import sys
from datetime import datetime

from ingestion.contract.printable import counted
from jobs import settings
from jobs.commands.sql.output import FORMATS
from jobs.commands.sql.prompt import prompt
from jobs.commands.sql.statements import TypedStatements
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.state_home import state_home
from jobs.wiring.sql_session import SqlSession, errors_as_exit_codes, sql_session
from jobs.wiring.sql_version import VersionChoice


def run(*, statement: str | None, version: int | None, as_of: datetime | None, format: str, limit: int) -> ExitCode:
    """Run statements: BAD_INPUT for wrong SQL, REFUSED if nothing is published, UNAVAILABLE if a server is away."""
    choice = VersionChoice.of(version, as_of)
    statements = None if statement is None else _statements(statement)
    history = state_home() / "sql_history"
    with sql_session(settings.environment(), choice) as session:
        answering = Answering(session, format, limit)
        if statements is None and sys.stdin.isatty():
            print(f"version {session.version}, until you enter USE current; \\? for help", file=sys.stderr)
            prompt(answering.answer, history)
        else:
            for each in _statements(sys.stdin.read()) if statements is None else statements:
                answering.answer(each)
    return ExitCode.OK


class Answering:
    """Prints the answers to statements in one format."""

    def __init__(self, session: SqlSession, form: str, limit: int) -> None:
        self._tables = session.tables
        self._form = FORMATS[form]
        self._limit = limit

    def answer(self, statement: str) -> None:
        """Print the answer to one statement; raise CommandError."""
        try:
            with errors_as_exit_codes():
                found = self._tables.query(statement, rows_max=self._limit + 1 if self._limit else None)
        except KeyboardInterrupt:
            self._tables.interrupt()
            raise
        is_cut = 0 < self._limit < found.num_rows
        print(self._form(found.slice(0, self._limit) if is_cut else found), flush=True)
        if is_cut:
            print(f"sql: the first {counted(self._limit, 'row')}; --limit 0 gives all", file=sys.stderr)


def _statements(text: str) -> list[str]:
    reader = TypedStatements()
    found = list(reader.feed(text))
    if rest := reader.rest():
        found.append(rest)
    if not found:
        raise CommandError("the statement is empty", ExitCode.BAD_INPUT)
    return found
