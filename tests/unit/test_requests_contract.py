"""What is asked of the books over HTTP, and how they refuse it: the same records and errors on both sides."""

import pytest

from billing import postgres_answered_requests
from ingestion.contract.requests import FileRefusedError, KeyReusedError, RequestKey


class Answered:
    """A cursor for which one request was answered before."""

    def __init__(self, inputs_hash: str) -> None:
        self._row = (inputs_hash, {"appeal_id": "a"})

    def execute(self, sql: str, values: tuple[str, ...]) -> None:
        assert values[:2] == ("ann", "k")

    def fetchone(self) -> tuple[str, dict[str, str]]:
        return self._row


def test_the_same_request_gets_its_answer_again_and_another_one_under_its_key_is_refused() -> None:
    key = RequestKey("ann", "k", "00")
    assert postgres_answered_requests.answered(Answered("00"), key) == {"appeal_id": "a"}  # type: ignore[arg-type]
    with pytest.raises(KeyReusedError, match="take a new key for a new request"):
        postgres_answered_requests.answered(Answered("ff"), key)  # type: ignore[arg-type]


def test_files_that_are_refused_name_every_problem() -> None:
    error = FileRefusedError(["payees.csv line 2: no id", "videos.csv line 9: unknown payee"])
    assert error.problems == ("payees.csv line 2: no id", "videos.csv line 9: unknown payee")
    assert str(error) == "payees.csv line 2: no id\nvideos.csv line 9: unknown payee"
