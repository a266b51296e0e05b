"""Checkpoints: what is signed, and what a broken chain looks like."""

import json
import stat
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from billing.errors import KeyRefusedError
from billing.proof.canonical import canonical_json
from billing.proof.checkpoint import (
    NO_HASH,
    Covered,
    Link,
    chain_problems,
    checkpoint_link,
    covered_end,
    key_change_link,
    last_day,
)
from billing.proof.ed25519_keys import SigningKey, create_key, is_signed, read_key

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return create_key(tmp_path / "books.key")


def covered(start: int, end: int) -> Covered:
    return Covered(start, end, end - start, f"{end:064x}", NOON)


def chain_of(key: SigningKey, other: SigningKey) -> list[Link]:
    """Two days, a change of the key, and a day under the new one."""
    first = checkpoint_link(None, covered(1, 5), day=date(2026, 11, 22), public_key=key.public_key, sign=key.sign)
    second = checkpoint_link(first, covered(5, 5), day=date(2026, 11, 23), public_key=key.public_key, sign=key.sign)
    change = key_change_link(
        second, made_at=NOON, next_public_key=other.public_key, public_key=key.public_key, sign=key.sign
    )
    third = checkpoint_link(change, covered(5, 9), day=date(2026, 11, 24), public_key=other.public_key, sign=other.sign)
    return [first, second, change, third]


def test_a_chain_is_sound_through_a_change_of_the_key(key: SigningKey, tmp_path: Path) -> None:
    chain = chain_of(key, create_key(tmp_path / "second.key"))
    assert chain_problems(chain, is_signed) == []
    assert [link.sequence for link in chain] == [1, 2, 3, 4]
    assert chain[0].fields["previous_hash"] == NO_HASH
    assert (covered_end(chain), last_day(chain)) == (9, date(2026, 11, 24))
    assert (covered_end([]), last_day([])) == (1, None)


def test_a_link_survives_its_file(key: SigningKey, tmp_path: Path) -> None:
    for link in chain_of(key, create_key(tmp_path / "second.key")):
        assert Link.from_file(link.to_file()) == link


def test_every_change_of_a_chain_is_found(key: SigningKey, tmp_path: Path) -> None:
    chain = chain_of(key, create_key(tmp_path / "second.key"))
    for index, link in enumerate(chain):
        for name, value in link.fields.items():
            if name in ("format", "kind"):
                continue
            other = value + 1 if isinstance(value, int) else f"0{value[1:]}" if value[0] != "0" else f"1{value[1:]}"
            body = canonical_json(link.fields | {name: other})
            changed = [*chain[:index], replace(link, body=body), *chain[index + 1 :]]
            assert chain_problems(changed, is_signed), f"{name} of link {index + 1}"
        missing = [*chain[:index], *chain[index + 1 :]]
        assert chain_problems(missing, is_signed) or index == len(chain) - 1, f"without link {index + 1}"
    assert chain_problems([chain[1], chain[0], *chain[2:]], is_signed)


def test_a_key_that_is_no_longer_in_force_signs_nothing(key: SigningKey, tmp_path: Path) -> None:
    chain = chain_of(key, create_key(tmp_path / "second.key"))
    forged = checkpoint_link(chain[3], covered(9, 10), day=date(2026, 11, 25), public_key=key.public_key, sign=key.sign)
    assert chain_problems([*chain, forged], is_signed) == ["link 5 is signed by a key that is not in force"]


def test_a_private_key_is_readable_by_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "books.key"
    key = create_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_key(file).public_key == key.public_key
    assert key.public_key not in repr(key)
    with pytest.raises(KeyRefusedError, match="never overwritten"):
        create_key(file)
    (tmp_path / "books.key.pub").unlink()
    with pytest.raises(KeyRefusedError, match="never overwritten"):
        create_key(file)
    file.chmod(0o640)
    with pytest.raises(KeyRefusedError, match="chmod 600"):
        read_key(file)
    with pytest.raises(KeyRefusedError, match="name a new file"):
        create_key(Path("/"))


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_without_a_key_is_refused_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "books.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(KeyRefusedError, match="holds no private key"):
        read_key(file)
    with pytest.raises(KeyRefusedError, match="cannot be read"):
        read_key(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"body":{"format":"x"},"signature":""}', b"\xff"])
def test_a_file_without_a_link_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        Link.from_file(content)


@pytest.mark.parametrize("wrong", [None, "x", -1, 1.5, True, [], {}, "2026-02-30"])
def test_a_link_with_a_field_that_cannot_be_read_is_none(key: SigningKey, tmp_path: Path, wrong: object) -> None:
    for link in chain_of(key, create_key(tmp_path / "second.key")):
        for name in link.fields:
            for fields in (
                link.fields | {name: wrong},
                {each: link.fields[each] for each in link.fields if each != name},
            ):
                content = json.dumps({"body": fields, "signature": link.signature}).encode()
                with pytest.raises(ValueError, match="not a checkpoint"):
                    Link.from_file(content)
        with pytest.raises(ValueError, match="not a checkpoint"):
            replace(link, signature="0" * 127).refuse_unreadable()
    with pytest.raises(ValueError, match="not a checkpoint"):
        Link.from_file(b"[" * 9999 + b"]" * 9999)


def test_canonical_json_is_one_form_of_a_value() -> None:
    assert (
        canonical_json({"b": [1, None, True], "a": "é\n", "A": {}}) == '{"A":{},"a":"é\\n","b":[1,null,true]}'.encode()
    )
    assert canonical_json(json.loads('{ "b":1,"a":2 }')) == b'{"a":2,"b":1}'
    with pytest.raises(TypeError):
        canonical_json({"a": [{"b": 1.0}]})
