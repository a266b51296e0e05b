"""The catalogue that a scene of faults gets: every video has one of the payees, and a second login approves."""

import csv
import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import cast

import pytest

from faults.scene import Scene
from faults.scene_catalogue import approve_proposals, import_catalogue
from faults.traffic import VIDEOS
from jobs.exit_codes import ExitCode


class FakeScene:
    """Implements what is needed of `faults.scene.Scene`: runs no program, and notes each one."""

    def __init__(self, folder: Path, code: ExitCode = ExitCode.OK) -> None:
        self.folder = folder
        self.commands: list[tuple[str, ...]] = []
        self._code = code

    def run_program(self, module: str, *words: str) -> "CompletedProcess[str]":
        self.commands.append((module, *words))
        waiting = {"proposals": [{"proposal_id": "one"}, {"proposal_id": "two"}]}
        return CompletedProcess(words, self._code, json.dumps(waiting), "it is refused")


def test_every_video_of_a_scene_has_one_of_its_payees(tmp_path: Path) -> None:
    scene = FakeScene(tmp_path)
    import_catalogue(cast("Scene", scene), ["ann", "bob"])
    approve_proposals(cast("Scene", scene))
    with (tmp_path / "videos.csv").open() as file:
        owners = {row["video_id"]: row["payee_id"] for row in csv.DictReader(file)}
    with (tmp_path / "payees.csv").open() as file:
        payees = [row["payee_id"] for row in csv.DictReader(file)]
    assert (owners.keys(), set(owners.values()), payees) == (set(VIDEOS), {"ann", "bob"}, ["ann", "bob"])
    assert [command[1:4] for command in scene.commands] == [
        ("billing", "catalogue", "import"),
        ("billing", "proposals", "list"),
        *[("billing", "proposals", "approve")] * 2,
    ]


def test_a_catalogue_that_is_refused_ends_the_scene_with_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="billing catalogue import ended with 5: it is refused"):
        import_catalogue(cast("Scene", FakeScene(tmp_path, ExitCode.REFUSED)), ["ann"])
