"""The catalogue of a scene: who is paid for which of its videos."""

import json
from collections.abc import Sequence

from faults.scene import Scene
from faults.traffic import VIDEOS
from jobs.demo.catalogue_files import RATES_FILE
from jobs.exit_codes import ExitCode


def import_catalogue(scene: Scene, payees: Sequence[str]) -> None:
    """Give every video one of the payees in turn, at the sample's rates."""
    of_payees, of_videos = scene.folder / "payees.csv", scene.folder / "videos.csv"
    of_payees.write_text("payee_id,name,user_id\n" + "".join(f"{each},{each},\n" for each in payees))
    lines = [f"{video},{payees[number % len(payees)]},\n" for number, video in enumerate(VIDEOS)]
    of_videos.write_text("video_id,payee_id,length_seconds\n" + "".join(lines))
    files = ("--payees", str(of_payees), "--videos", str(of_videos), "--rates", str(RATES_FILE))
    output_of(scene, "billing", "catalogue", "import", *files, "--actor", "eve")


def approve_proposals(scene: Scene) -> None:
    """Let a second login approve all that waits for one."""
    waiting = json.loads(output_of(scene, "billing", "proposals", "list", "--json"))
    for each in waiting["proposals"]:
        output_of(scene, "billing", "proposals", "approve", "--proposal", each["proposal_id"], "--actor", "max")


def output_of(scene: Scene, *words: str) -> str:
    """Run a command that must succeed; return its output."""
    done = scene.run_program("jobs.cli", *words)
    if done.returncode != ExitCode.OK:
        raise AssertionError(f"{' '.join(words[:3])} ended with {done.returncode}: {done.stderr[-600:]}")
    return done.stdout
