"""Bundles that differ from what was signed, or are not files at all: the stand-alone verifier must report it."""

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attacks.attempts import Attack, NotTriedError
from attacks.site import Site
from jobs.settings.state_home import PROJECT

VERIFIER = PROJECT / "verifier" / "viewledger-verify"
SECONDS_MAX = 60
BOMB_MIB = 512
AGREES = 0
RECORD_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "an amount on a line": lambda row: row["lines"][0].update(amount_micros=row["lines"][0]["amount_micros"] + 1),
    "a rate on a line": lambda row: row["lines"][0].update(rate_per_thousand_micros=9_999_999),
    "the payee of a statement": lambda row: row["row"].update(payee_id="mallory"),
    "what a statement pays": lambda row: row["row"].update(payable_micros=10**12),
}


def changed_statements(site: Site) -> Iterator[str | None]:
    """A statement in a bundle pays more, at another rate, or another payee."""
    for what, change in RECORD_CHANGES.items():
        folder = _bundle(site)
        _edit_record(folder, "statement", change)
        yield _gain(site, folder, f"a bundle with {what} changed")


def records_left_out(site: Site) -> Iterator[str | None]:
    """A record is left out of a bundle, one of each kind in turn; its content would be unseen."""
    kinds = sorted({json.loads(line)["kind"] for line in _lines(_bundle(site))})
    for kind in kinds:
        folder = _bundle(site)
        lines = _lines(folder)
        first = next(line for line in lines if json.loads(line)["kind"] == kind)
        _write(folder, [line for line in lines if line != first])
        yield _gain(site, folder, f"a bundle without one {kind}")


def minted_transactions(site: Site) -> Iterator[str | None]:
    """A transaction without a cause is added to the real ones of a bundle."""
    for kind in ("hold_voided", "payout_rejected", "statement"):
        folder = _bundle(site)
        lines = _lines(folder)
        real = json.loads(next(line for line in lines if json.loads(line)["kind"] == "transaction"))
        forged = real | {"key": "0" * 32, "position": real["position"] + 1_000_000}
        forged["row"] = real["row"] | {"transaction_id": "0" * 32, "kind": kind, "idempotency_key": f"{kind}:none"}
        _write(folder, [*lines, json.dumps(forged, sort_keys=True, separators=(",", ":")).encode()])
        yield _gain(site, folder, f"a bundle with a minted {kind}")


def changed_events(site: Site) -> Iterator[str | None]:
    """Events of a bundle are left out, added, or changed."""
    for what, change in (
        ("an event left out", lambda rows: rows[:-1]),
        ("an event twice", lambda rows: [*rows, rows[-1]]),
        ("an event that was not paid", lambda rows: [*rows[:-1], rows[-1].replace(b",billable,", b",not_eligible,")]),
        ("an event of another video", lambda rows: [*rows[:-1], rows[-1].replace(b"video-of-zoe", b"video-of-ann")]),
    ):
        folder = _bundle(site)
        place = folder / "events.csv.gz"
        rows = gzip.decompress(place.read_bytes()).splitlines(keepends=True)
        changed = change(rows)
        if changed == rows:
            raise NotTriedError(f"{what}: the bundle is as it was")
        place.write_bytes(gzip.compress(b"".join(changed)))
        yield _gain(site, folder, f"a bundle with {what}")


def files_that_are_none(site: Site) -> Iterator[str | None]:
    """Pipes, devices, loops, bombs and control characters in place of files; one would hang the verifier."""
    for name in ("manifest.json", "records.jsonl", "events.csv.gz", "leaves.csv"):
        for make in (
            os.mkfifo,
            lambda path: path.symlink_to("/dev/zero"),
            lambda path: path.symlink_to(path),
            Path.mkdir,
        ):
            folder = _bundle(site)
            (folder / name).unlink()
            make(folder / name)
            yield _gain(site, folder, f"a bundle whose {name} is not a file")
    folder = _bundle(site)
    with gzip.open(folder / "events.csv.gz", "wb", compresslevel=9) as bomb:
        for _ in range(BOMB_MIB):
            bomb.write(b"\n" * (1 << 20))
    yield _gain(site, folder, "a bomb of half a gigabyte")
    folder = _bundle(site)
    _edit_record(folder, "statement", lambda row: row["row"].update(payee_id="\x1b[2J\x1b]0;owned\x07"))
    yield _gain(site, folder, "a bundle with control characters")


def _bundle(site: Site) -> Path:
    """Return a copy of a bundle that verifies."""
    original = site.scene.folder / "bundle"
    if not original.exists():
        site.export_bundle(original)
        if (code := _verified(site, original).returncode) != AGREES:
            raise NotTriedError(f"the bundle itself does not verify ({code})")
    copy = site.scene.folder / "bundle-forged"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original, copy)
    return copy


def _verified(site: Site, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    words = [str(VERIFIER), str(folder), "--pubkey", site.signing_key_of_books.public_key]
    return subprocess.run(words, capture_output=True, timeout=SECONDS_MAX, check=False)


def _gain(site: Site, folder: Path, what: str) -> str | None:
    try:
        done = _verified(site, folder)
    except subprocess.TimeoutExpired:
        return f"{what} holds the verifier for more than {SECONDS_MAX} s"
    printed = done.stdout + done.stderr
    if b"Traceback" in printed:
        return f"{what} ends the verifier with a trace"
    if any(byte < 32 and byte != 10 for byte in printed):
        return f"{what} reaches the terminal of the verifier's user"
    return f"{what} is said to agree" if done.returncode == AGREES else None


def _lines(folder: Path) -> list[bytes]:
    return (folder / "records.jsonl").read_bytes().splitlines()


def _write(folder: Path, lines: list[bytes]) -> None:
    (folder / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def _edit_record(folder: Path, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    lines = _lines(folder)
    at = next(at for at, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    record = json.loads(lines[at])
    change(record)
    lines[at] = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    _write(folder, lines)


FAMILY: dict[str, Attack] = {
    "bundle-changed-statements": changed_statements,
    "bundle-records-left-out": records_left_out,
    "bundle-minted-transactions": minted_transactions,
    "bundle-changed-events": changed_events,
    "bundle-files-that-are-none": files_that_are_none,
}
