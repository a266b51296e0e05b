"""The keys of a version: what vouches where, and what is refused."""

import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.attestation_keys import attestation_keys, revocation_instants, revoked_attestation_keys
from ingestion.contract.attestation import attested
from ingestion.contract.attesting_keys import (
    AttestationCheck,
    AttestingKey,
    AttestingKeys,
    KeyGoneError,
    Revocation,
    fingerprint,
)
from ingestion.jwk_set import KeySetError
from tests.ingestion_fakes import hmac_jwk

ONE, TWO = {"one": b"1" * 32}, {"two": b"2" * 32}
BOTH = {**ONE, **TWO}
NOTHING: dict[str, bytes] = {}


def message(key_id: str, secret: bytes | None = None) -> bytes:
    return attested(b'{"a":1}', key_id, secret or BOTH[key_id])


def test_a_key_vouches_from_its_offsets_on_and_a_revoked_one_no_more() -> None:
    known = AttestingKeys().followed_by(ONE, NOTHING, ())
    known = known.followed_by(BOTH, NOTHING, (10, 20))
    known = known.followed_by(TWO, ONE, (30, 40))
    check = AttestationCheck(known, BOTH)
    assert [check.is_attested(message("one"), 0, offset) for offset in (0, 29, 30, 99)] == [True, True, False, False]
    assert [check.is_attested(message("two"), 1, offset) for offset in (0, 19, 20, 99)] == [False, False, True, True]
    assert check.is_attested(message("two"), 7, 0), "a partition that was added later"
    assert not check.is_attested(message("one"), 7, 0)


def test_a_revoked_key_may_be_trusted_again() -> None:
    known = (
        AttestingKeys().followed_by(ONE, NOTHING, ()).followed_by(NOTHING, ONE, (5,)).followed_by(ONE, NOTHING, (9,))
    )
    check = AttestationCheck(known, ONE)
    assert [check.is_attested(message("one"), 0, offset) for offset in (4, 5, 8, 9)] == [True, False, False, True]


T1, T2 = datetime(2026, 11, 20, 8, tzinfo=UTC), datetime(2026, 11, 21, 8, tzinfo=UTC)


def test_a_key_that_is_revoked_from_an_instant_vouches_only_for_what_came_before_it() -> None:
    known = AttestingKeys().followed_by(BOTH, NOTHING, ())
    assert known.newly_revoked({"one": T2, "unknown": T1}) == {"one": T2}
    known = known.followed_by(TWO, ONE, (30, 40), {"one": Revocation(T2, (12, 0))})
    check = AttestationCheck(known, BOTH)
    assert [check.is_attested(message("one"), 0, offset) for offset in (0, 11, 12, 29, 30)] == [True, True] + 3 * [
        False
    ]
    assert not check.is_attested(message("one"), 1, 0)
    assert not check.is_attested(message("one"), 2, 0), "a partition that was added later"
    assert check.is_attested(message("two"), 0, 99)
    assert known.newly_revoked({"one": T2}) == {}, "it is known"
    assert known.followed_by(TWO, ONE, (50, 60)) == known
    assert AttestingKeys.from_json(json.loads(json.dumps(known.to_json()))) == known
    assert [each.get("revoked_from") for each in known.to_json()] == [None, None, "2026-11-21T08:00:00+00:00"]


def test_an_instant_may_become_earlier_and_never_later() -> None:
    known = AttestingKeys().followed_by(ONE, NOTHING, ()).followed_by(NOTHING, ONE, (30,))
    assert known.newly_revoked({"one": T2}) == {"one": T2}, "it was revoked without an instant"
    known = known.followed_by(NOTHING, ONE, (40,), {"one": Revocation(T2, (20,))})
    with pytest.raises(
        KeyGoneError, match=r"^the attestation key one is not trusted from 2026-11-21T08:00:00\+00:00 on"
    ):
        known.newly_revoked({"one": T2 + timedelta(microseconds=1)})
    assert known.newly_revoked({"one": T1}) == {"one": T1}
    known = known.followed_by(NOTHING, ONE, (50,), {"one": Revocation(T1, (10,))})
    check = AttestationCheck(known, ONE)
    assert [check.is_attested(message("one"), 0, offset) for offset in (9, 10, 19, 20, 60)] == [True] + 4 * [False]


def test_a_key_that_is_trusted_again_can_be_revoked_from_any_instant_since() -> None:
    known = AttestingKeys().followed_by(ONE, NOTHING, ()).followed_by(NOTHING, ONE, (9,), {"one": Revocation(T1, (5,))})
    known = known.followed_by(ONE, NOTHING, (12,))
    assert known.newly_revoked({"one": T2}) == {"one": T2}
    known = known.followed_by(NOTHING, ONE, (20,), {"one": Revocation(T2, (15,))})
    check = AttestationCheck(known, ONE)
    assert [check.is_attested(message("one"), 0, offset) for offset in (4, 5, 11, 12, 14, 15)] == [
        True, False, False, True, True, False,
    ]  # fmt: skip


def test_nothing_changes_while_the_keys_do_not() -> None:
    known = AttestingKeys().followed_by(ONE, TWO, ())
    assert known.followed_by(ONE, TWO, (7,)) == known
    assert [each.key_id for each in known.keys] == ["one"], "a key that never vouched needs no end"


def test_a_message_is_attested_by_the_secret_of_the_key_it_names_alone() -> None:
    check = AttestationCheck(AttestingKeys().followed_by(BOTH, NOTHING, ()), BOTH)
    for value in (
        b"",
        b"\xff",
        b'{"a":1}',
        message("one", TWO["two"]),
        message("three", ONE["one"]),
        message("one")[:-1],
    ):
        assert not check.is_attested(value, 0, 0), value
    assert not AttestationCheck().is_attested(message("one"), 0, 0)


def test_a_key_that_is_gone_or_has_another_secret_is_named() -> None:
    known = AttestingKeys().followed_by(BOTH, NOTHING, ())
    for keys, text in (
        (ONE, "the attestation key two is missing, and published events were judged by it; add it to the file of "),
        ({**BOTH, "two": b"3" * 32}, "the attestation key two has another secret than the one by which published "),
    ):
        for refused in (lambda: known.followed_by(keys, NOTHING, ()), lambda: AttestationCheck(known, keys)):  # noqa: B023
            with pytest.raises(KeyGoneError, match=f"^{text}"):
                refused()
    assert known.followed_by(ONE, TWO, (1,)).keys[-1] == AttestingKey("two", fingerprint(TWO["two"]), (1,), False)


def test_keys_are_read_back_from_a_manifest_without_their_secrets() -> None:
    known = AttestingKeys().followed_by(BOTH, NOTHING, ()).followed_by(TWO, ONE, (1, 1 << 41))
    written = json.dumps(known.to_json())
    assert AttestingKeys.from_json(json.loads(written)) == known
    check = AttestationCheck(known, BOTH)
    assert "1111" not in written + repr(check)
    assert pickle.loads(pickle.dumps(check)) == check  # noqa: S301 - our own, as executors get it


def test_a_revoked_key_is_read_from_the_file_apart_from_the_others() -> None:
    keys = [hmac_jwk("one", ONE["one"]), {**hmac_jwk("two", TWO["two"]), "revoked": True}]
    text = json.dumps({"keys": keys})
    assert attestation_keys(text) == ONE
    assert revoked_attestation_keys(text) == TWO
    assert revocation_instants(text) == {}
    with pytest.raises(KeySetError, match=r"^every key is revoked; add one that attests"):
        attestation_keys(json.dumps({"keys": keys[1:]}))


READERS = (attestation_keys, revoked_attestation_keys, revocation_instants)


def test_the_instant_of_a_revocation_is_read_from_the_file() -> None:
    first, second = hmac_jwk("one", ONE["one"]), {**hmac_jwk("two", TWO["two"]), "revoked": True}

    def text(**more: object) -> str:
        return json.dumps({"keys": [first, {**second, **more}]})

    assert revocation_instants(text(revoked_from="2026-11-20T10:00:00+02:00")) == {"two": T1}
    for wrong in ("2026-11-20T08:00:00", "yesterday", "2026-11-31T00:00:00Z", "9999-12-31T23:59:59Z", ""):
        for read in READERS:
            with pytest.raises(KeySetError, match=f"^the key two has revoked_from '{wrong}'; it must be an instant"):
                read(text(revoked_from=wrong))
    for read in READERS:
        with pytest.raises(KeySetError, match="unknown field `revoked_form`"):
            read(text(revoked_form="2026-11-20T08:00:00Z"))
        with pytest.raises(KeySetError, match=r'^the key two has revoked_from and is not revoked; add "revoked": true'):
            read(text(revoked_from="2026-11-20T08:00:00Z", revoked=False))
