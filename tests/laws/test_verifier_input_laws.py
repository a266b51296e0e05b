"""A bundle comes from a stranger: viewledger-verify always ends with one sentence, in bounded time and memory."""

import gzip
import json
import os
import random
import shutil
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from billing.proof.ed25519_keys import SigningKey, create_key
from billing.proof.journal import Record
from tests.bundle_makers import month_with, signed
from tests.verifier import verifier

MONTH = month_with(lambda value: value["kind"] == "transaction", 12, rows=12)
ODD: Sequence[Any] = (None, True, -1, 10**30, 1.5, "", "x", "\x1b[2J\r\u202e", [], {}, [[]], {"a": 1}, "9" * 5000)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return create_key(tmp_path_factory.mktemp("key") / "books.key")


@pytest.fixture
def bundle(tmp_path: Path, key: SigningKey) -> Path:
    return written(MONTH.records, tmp_path / "bundle", key)


def written(records: Sequence[Record], folder: Path, key: SigningKey) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    replace(MONTH, records=records).write(folder, signed(records, key, len(records)))
    return folder


def answer(bundle: Path, key: SigningKey, *words: str) -> int:
    return int(verifier.main([str(bundle), "--pubkey", key.public_key, *words]))


@pytest.mark.parametrize("name", ["manifest.json", *verifier.FILES])
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "loop", "gone"])
def test_only_regular_files_are_read(name: str, what: str, bundle: Path, key: SigningKey) -> None:
    place = bundle / name
    place.unlink()
    if what == "pipe":
        os.mkfifo(place)
    elif what == "device":
        place.symlink_to("/dev/zero")
    elif what == "folder":
        place.mkdir()
    elif what == "loop":
        place.symlink_to(place)
    assert answer(bundle, key) == (2 if name == "manifest.json" else 1)


def test_a_pipe_as_key_or_kept_checkpoint_is_not_waited_for(bundle: Path, tmp_path: Path, key: SigningKey) -> None:
    os.mkfifo(tmp_path / "checkpoint-000001.json")
    assert answer(bundle, key, "--kept", str(tmp_path)) == 2
    assert verifier.main([str(bundle), "--pubkey", str(tmp_path / "checkpoint-000001.json")]) == 2


def test_kept_leaves_that_are_a_pipe_are_not_waited_for(bundle: Path, tmp_path: Path, key: SigningKey) -> None:
    (link,) = signed(MONTH.records, key, len(MONTH.records))
    (tmp_path / "checkpoint-000001.json").write_bytes(link.to_file())
    os.mkfifo(tmp_path / "checkpoint-000001.leaves.csv")
    assert answer(bundle, key, "--kept", str(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"\0", b"\n", b"v1,", b'"'])
@pytest.mark.parametrize("name", ["events.csv.gz", "counts.csv.gz"])
def test_a_gzip_bomb_is_refused_before_it_is_opened_whole(
    name: str, content: bytes, bundle: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    header = verifier.COLUMNS[name].encode() + b"\n"
    with gzip.open(bundle / name, "wb") as bomb:
        bomb.write(header)
        for _ in range(64):
            bomb.write(content * ((1 << 20) // len(content)))
    tracemalloc.start()
    assert answer(bundle, key) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
    assert capsys.readouterr().out.count("\n") == 1


def test_a_compressed_file_opens_to_what_was_allowed_at_most(
    bundle: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    size = len(gzip.decompress((bundle / "events.csv.gz").read_bytes()))
    assert answer(bundle, key, "--opened-max", str(size)) == 0
    assert answer(bundle, key, "--opened-max", str(size - 1)) == 1
    assert f"opens to more than {size - 1:,} bytes; allow more by --opened-max" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["records.jsonl", "checkpoints.jsonl", "manifest.json"])
def test_json_that_is_nested_without_end_is_refused(name: str, bundle: Path, key: SigningKey) -> None:
    (bundle / name).write_bytes(b"[" * 1_000_000 + b"\n")
    assert answer(bundle, key) == (2 if name == "manifest.json" else 1)


@pytest.mark.parametrize("name", verifier.FILES)
def test_rows_that_the_manifest_does_not_name_are_not_read(name: str, bundle: Path, key: SigningKey) -> None:
    document = json.loads((bundle / "manifest.json").read_bytes())
    document["rows"][name] -= 1
    (bundle / "manifest.json").write_text(json.dumps(document))
    assert answer(bundle, key) == 1


def test_control_characters_are_shown_as_their_escapes(
    tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    records = list(MONTH.records)
    at = next(at for at, each in enumerate(records) if each.kind == "transaction")
    value = json.loads(records[at].content)
    value["entries"][0]["account"] = "\x1b]0;owned\x07\x1b[2J\r\u202eknab"
    records[at] = replace(records[at], content=verifier.canonical(value))
    assert answer(written(records, tmp_path / "bundle", key), key) == 1
    wording = capsys.readouterr().out
    assert wording.endswith("\n")
    assert all(each.isprintable() for each in wording[:-1])
    assert "\\x1b" in wording


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [each for name, child in inner for each in places(child, (*path, name))]


def put(value: Any, path: tuple[Any, ...], odd: Any) -> None:
    *way, last = path
    for name in way:
        value = value[name]
    value[last] = odd


@pytest.mark.parametrize("kind", sorted({each.kind for each in MONTH.records}))
def test_a_record_of_any_form_ends_in_one_sentence(
    kind: str, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed by the key, so that its content is checked."""
    chance = random.Random(kind)
    of_kind = [at for at, each in enumerate(MONTH.records) if each.kind == kind]
    for _ in range(40):
        records, at = list(MONTH.records), chance.choice(of_kind)
        value = json.loads(records[at].content)
        put(value, chance.choice(places(value)), chance.choice(ODD))
        records[at] = replace(records[at], content=verifier.canonical(value))
        code = answer(written(records, tmp_path / "bundle", key), key)
        wording = capsys.readouterr()
        assert code in (0, 1), wording
        assert "has a form that no bundle has" not in wording.out, value
        assert (wording.out + wording.err).count("\n") == 1


@pytest.mark.parametrize("name", ["manifest.json", "checkpoints.jsonl"])
def test_a_manifest_or_link_of_any_form_ends_in_one_sentence(
    name: str, tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    chance, folder = random.Random(name), written(MONTH.records, tmp_path / "bundle", key)
    sound = json.loads((folder / name).read_bytes())
    for _ in range(150):
        value = json.loads(json.dumps(sound))
        put(value, chance.choice(places(value)), chance.choice(ODD))
        (folder / name).write_bytes(verifier.canonical(value).replace(b"\n", b"") + b"\n")
        assert answer(folder, key) in (0, 1, 2)
        wording = capsys.readouterr()
        assert "has a form that no bundle has" not in wording.out, value
        assert (wording.out + wording.err).count("\n") == 1
