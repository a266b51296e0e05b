import hashlib
import hmac

import pytest

from ingestion.pseudonym import PSEUDONYM_PREFIX, pseudonym_key, pseudonym_of

KEY = bytes(range(32))


def test_a_pseudonym_is_a_prefix_and_the_cut_hmac_of_the_id() -> None:
    expected = hmac.new(KEY, b"alice", hashlib.sha256).hexdigest()[:32]
    assert pseudonym_of("alice", KEY) == PSEUDONYM_PREFIX + expected


def test_the_same_id_has_the_same_pseudonym_and_other_ids_or_keys_have_others() -> None:
    assert pseudonym_of("alice", KEY) == pseudonym_of("alice", KEY)
    assert pseudonym_of("alice", KEY) != pseudonym_of("alice ", KEY)
    assert pseudonym_of("alice", KEY) != pseudonym_of("alice", KEY[::-1])


@pytest.mark.parametrize("user_id", ["é", "日本", "\udc80", "x" * 128])
def test_every_text_has_a_pseudonym(user_id: str) -> None:
    assert len(pseudonym_of(user_id, KEY)) == len(PSEUDONYM_PREFIX) + 32


def test_a_key_is_read_from_hexadecimal_digits() -> None:
    assert pseudonym_key("00ff" * 16) == b"\x00\xff" * 16


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has 0 bytes"),
        ("ab" * 31, "has 31 bytes"),
        ("abc", "even number"),
        ("zz" * 32, "hexadecimal"),
        ("١٢" * 32, "hex"),
    ],
)
def test_an_unusable_key_is_refused_without_being_repeated(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        pseudonym_key(text)
    assert not text or text not in str(refused.value)
