"""The verifier's output is words: no number of an error, no record as Python writes it, no `1 checkpoints`."""

from pathlib import Path

import pytest

from tests.verifier import verifier

KEY = "a" * 64


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["none", "--pubkey", KEY], "none is not a bundle: manifest.json cannot be read (no such file or directory)"),
        (["empty", "--pubkey", KEY, "--kept", "none"], "none is not a checkpoint (no such file or directory)"),
        (["empty", "--pubkey", KEY, "--kept", "keyless.json"], "keyless.json is not a checkpoint (body is missing)"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(
    words: list[str], answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "keyless.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert verifier.main(words) == 2
    assert capsys.readouterr().err == f"viewledger-verify: {answer}\n"


@pytest.mark.parametrize(
    ("count", "name", "answer"),
    [
        (1, "checkpoints", "1 checkpoint"),
        (1, "records not signed", "1 record not signed"),
        (2000, "events", "2,000 events"),
    ],
)
def test_one_is_not_many(count: int, name: str, answer: str) -> None:
    assert verifier.counted(count, name) == answer


def test_a_wrong_count_is_said_in_words() -> None:
    views = {("2026-09-01", "DE", 1): [3, 2]}
    with pytest.raises(verifier.WrongError) as wrong:
        verifier._check_counts("v", views, iter([(7, {"video_id": "v"})]))
    assert str(wrong.value).endswith(
        "the events of v on 2026-09-01 from DE add up to 3 views, 2 of them billable, by policy 1"
    )
