from pathlib import Path

import pytest

from jobs.telemetry.figures_file import Figure, record_halt, recorded_check, write_figures


class DifferError(Exception):
    """Numbers differ."""


def test_a_file_holds_the_figures_of_the_last_time_only(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "some.prom"
    write_figures(path, [Figure("a", "A", 1, {"of": "x"}), Figure("a", "A", 2, {"of": "y"}), Figure("b", "B", 3)])
    assert 'a{of="x"} 1.0\na{of="y"} 2.0\n' in path.read_text()
    write_figures(path, [Figure("b", "B", 4)])
    assert path.read_text() == "# HELP b B\n# TYPE b gauge\nb 4.0\n"


def test_a_check_notes_whether_it_found_a_difference(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "check-rebuild.prom"
    with recorded_check(tmp_path, "rebuild", DifferError, clock=lambda: 5.0):
        pass
    assert 'viewledger_check_differs{check="rebuild"} 0.0' in path.read_text()
    with pytest.raises(DifferError), recorded_check(tmp_path, "rebuild", DifferError, clock=lambda: 7.0):
        raise DifferError
    assert 'viewledger_check_differs{check="rebuild"} 1.0' in path.read_text()
    assert 'viewledger_check_last_run_timestamp_seconds{check="rebuild"} 7.0' in path.read_text()


def test_a_check_that_did_not_come_to_its_end_notes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), recorded_check(tmp_path, "rebuild", DifferError):
        raise ValueError
    assert not list(tmp_path.iterdir())


def test_a_halt_is_noted_with_its_reason(tmp_path: Path) -> None:
    record_halt(tmp_path, "OffsetsGoneError", clock=lambda: 9.0)
    text = (tmp_path / "metrics" / "speed-halt.prom").read_text()
    assert 'viewledger_speed_last_halt_timestamp_seconds{reason="OffsetsGoneError"} 9.0' in text
