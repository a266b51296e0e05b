"""The words of `./viewledger rebuild`."""

import pytest

from jobs import cli
from jobs.exit_codes import ExitCode


@pytest.mark.parametrize("words", [[], ["everything"], ["batch", "--within", "5"], ["speed", "--attempts", "2"]])
def test_a_target_and_its_own_flags_are_wanted(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rebuild", *words]) == ExitCode.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["speed", "--within", "0"], ["batch", "--attempts", "21"]])
def test_a_limit_out_of_range_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rebuild", *words]) == ExitCode.BAD_INPUT
    assert words[1] in capsys.readouterr().err


@pytest.mark.parametrize("target", ["speed", "batch"])
def test_without_a_stack_the_missing_setting_is_named(
    target: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setenv("VIEWLEDGER_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("VIEWLEDGER_POSTGRES_URL", raising=False)
    monkeypatch.setenv("VIEWLEDGER_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    assert cli.main(["rebuild", target]) == ExitCode.BAD_INPUT
    assert "VIEWLEDGER_POSTGRES_URL is not set" in capsys.readouterr().err
