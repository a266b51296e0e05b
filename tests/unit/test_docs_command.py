import socket
from pathlib import Path

import pytest

from jobs.commands import docs
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The words of every run of the site's generator, which itself does not run."""
    words: list[tuple[str, ...]] = []

    def mkdocs(*given: str) -> ExitCode:
        words.append(given)
        return ExitCode.OK

    monkeypatch.setattr(docs, "mkdocs", mkdocs)
    return words


def test_a_site_goes_into_a_new_folder_an_empty_one_or_an_earlier_site(
    tmp_path: Path, ran: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "made" / "site"
    assert docs.build(to=site) is ExitCode.OK
    (site / docs.SEARCH_INDEX).parent.mkdir()
    (site / docs.SEARCH_INDEX).touch()
    assert docs.build(to=site) is ExitCode.OK
    assert len(ran) == 2
    assert capsys.readouterr().out.split() == [str(site / "index.html")] * 2


def test_a_folder_with_something_else_in_it_is_never_emptied(tmp_path: Path, ran: list[tuple[str, ...]]) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(CommandError, match="holds something else") as caught:
        docs.build(to=tmp_path)
    assert caught.value.code is ExitCode.BAD_INPUT
    assert ran == []
    assert (tmp_path / "thesis.txt").exists()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, ran: list[tuple[str, ...]]) -> None:
    (tmp_path / "site").touch()
    with pytest.raises(CommandError, match=f"cannot be made: {tmp_path / 'site'} "):
        docs.build(to=tmp_path / "site")
    assert ran == []


def test_a_port_that_is_taken_is_named(ran: list[tuple[str, ...]]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"the port is taken: {port} ") as caught:
            docs.serve(port=port)
    assert caught.value.code is ExitCode.UNAVAILABLE
    assert ran == []
