"""Ed25519 keys (RFC 8032): created once, kept in a file that only its owner reads, used to sign checkpoints."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from billing.errors import KeyRefusedError
from billing.file_regular import read_regular

PUBLIC_SUFFIX = ".pub"


class SigningKey:
    """A private key in memory; its representation shows nothing of it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_key(self) -> str:
        """Return the public key, 64 hex digits."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(message)


def create_key(private_file: Path) -> SigningKey:
    """Create a key pair: `private_file` (PEM, mode 0600) and beside it the public key (PEM, suffix .pub).

    Raises:
        KeyRefusedError: one of the files already exists (it is never overwritten), or cannot be written.
    """
    if not private_file.name:
        raise KeyRefusedError(f"{private_file} is a folder; name a new file")
    public_file = private_file.with_name(private_file.name + PUBLIC_SUFFIX)
    if public_file.exists():
        raise KeyRefusedError(f"{public_file} is there already; give another name: a key is never overwritten")
    key = Ed25519PrivateKey.generate()
    _write_new(private_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(public_file, public, mode=0o644)
    return SigningKey(key)


def read_key(private_file: Path) -> SigningKey:
    """Return the key of a file that `create_key` made.

    Raises:
        KeyRefusedError: it cannot be read, holds no Ed25519 key, or users other than its owner may read it.
    """
    try:
        mode = private_file.stat().st_mode
        content = read_regular(private_file)
    except OSError as error:
        raise KeyRefusedError(f"the key {private_file} cannot be read ({error.strerror})") from error
    if stat.S_IMODE(mode) & 0o077:
        raise KeyRefusedError(f"others may read the key {private_file}; run `chmod 600 {private_file}`")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise KeyRefusedError(f"{private_file} holds no private key; `billing proof keys create` makes one") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefusedError(
            f"{private_file} holds a key of another kind; `billing proof keys create` makes an Ed25519 key"
        )
    return SigningKey(key)


def is_signed(public_key: str, message: bytes, signature: bytes) -> bool:
    """Return whether the key (64 hex digits) made the signature over the message."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _write_new(file: Path, content: bytes, *, mode: int) -> None:
    try:
        # created with its mode: nobody else can read it at any moment
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyRefusedError(f"{file} is there already; give another name: a key is never overwritten") from error
    except OSError as error:
        raise KeyRefusedError(f"{file} cannot be written ({error.strerror})") from error
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
