"""Faults of the files of the archive after their publication. Each must be refused with the file's name."""

import io
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch_layer.lake.tables import RAW_EVENTS
from faults.hdfs_programs import FILES, hdfs
from faults.postgres_database import queries
from faults.scene import Scene
from faults.scene_catalogue import import_catalogue
from jobs.exit_codes import ExitCode


def file_deleted(scene: Scene) -> None:
    """A file of the archive is deleted and later restored: batch run, reconcile and billing refuse with its name."""

    def delete(path: str) -> None:
        hdfs(scene.stack.folder, FILES, "-rm", path)

    _refused_until_restored(scene, delete, _put_back)


def file_changed(scene: Scene) -> None:
    """A file of the archive is replaced by one with a changed row, later by the old one: refused with its name."""
    import pyarrow as pa  # here and in other scenes: `--list` need not wait for it
    import pyarrow.parquet as pq

    def change(path: str) -> None:
        rows = pq.read_table(io.BytesIO(_copy(scene).read_bytes()))
        values = rows.column("value").to_pylist()
        values[scene.rng.randrange(len(values))] += b" "
        changed = rows.set_column(rows.column_names.index("value"), rows.field("value"), pa.array(values, pa.binary()))
        pq.write_table(changed, scene.folder / "changed.parquet")
        hdfs(scene.stack.folder, FILES, "-put", "-f", str(scene.folder / "changed.parquet"), path)

    _refused_until_restored(scene, change, _put_back)


def file_doubled(scene: Scene) -> None:
    """The rows of the archive are appended to its table again: the new file is refused with its name until repaired."""

    def double(_: str) -> None:
        code = scene.run_program("faults.append_again", RAW_EVENTS, "main").returncode
        if code != ExitCode.OK:
            raise AssertionError(f"the rows could not be appended again: exit code {code}")

    _refused_until_restored(scene, double, lambda scene, path: None, repair="--repair")


def _refused_until_restored(
    scene: Scene,
    hurt: Callable[[str], None],
    restore: Callable[[Scene, str], None],
    *,
    repair: str | None = None,
) -> None:
    import_catalogue(scene, ["somebody"])
    scene.count(300)
    scene.batches.run()
    path = scene.rng.choice(_recorded(scene))
    hdfs(scene.stack.folder, FILES, "-get", path, str(_copy(scene)))
    hurt(path)
    scene.hurt(f"{path} was hurt")
    scene.send(50)
    today = datetime.now(UTC).date()
    period = f"{today}/{today + timedelta(days=1)}"
    named = "of raw_events was added after publication" if repair else path
    _refused(scene, named, ExitCode.DIFFERENCE, "batch", "run")
    _refused(scene, named, ExitCode.REFUSED, "billing", "run", "--period", period, "--dry-run")
    _refused(scene, named, ExitCode.DIFFERENCE, "reconcile")
    restore(scene, path)
    _refused(scene, named, ExitCode.DIFFERENCE, "batch", "run")
    done = _command(scene, "reconcile", "--json", *([repair] if repair else []))
    if done.returncode != ExitCode.OK or not json.loads(done.stdout)["is_equal"]:
        raise AssertionError(
            f"after the file was restored, reconcile ended with {done.returncode}: {done.stderr[-400:]}"
        )
    scene.batches.run()


def _put_back(scene: Scene, path: str) -> None:
    hdfs(scene.stack.folder, FILES, "-put", "-f", str(_copy(scene)), path)


def _copy(scene: Scene) -> Path:
    return scene.folder / "copy.parquet"


def _recorded(scene: Scene) -> list[str]:
    return [path for (path,) in queries(scene.postgres_url, "SELECT path FROM published.archived_files ORDER BY path")]


def _refused(scene: Scene, named: str, expected: int, *words: str) -> None:
    done = _command(scene, *words)
    if done.returncode != expected or named not in done.stderr or "Traceback" in done.stderr:
        raise AssertionError(
            f"{' '.join(words)} ended with {done.returncode} instead of {expected} and did not name {named}: "
            f"{done.stderr[-400:]}"
        )


def _command(scene: Scene, *words: str) -> "subprocess.CompletedProcess[str]":
    return scene.run_program("jobs.cli", *words)


FAULTS = {
    "archive-file-deleted": file_deleted,
    "archive-file-doubled": file_doubled,
    "archive-file-changed": file_changed,
}
