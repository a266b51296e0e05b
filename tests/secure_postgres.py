"""A primary and a standby that let in by TLS and a certificate alone, with the product's schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from faults.certificates import Authority, Certified
from faults.postgres_servers import LOGIN, PostgresPair, postgres_pair
from jobs.child.accounts import account_of
from jobs.local_stack.postgres_server import private_file
from jobs.local_stack.stack import temporary_folder
from jobs.settings.declared.servers import POSTGRES_URL
from jobs.wiring.migrations import migrate

RULES = f"""
hostssl {LOGIN} {LOGIN} 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
host all postgres 127.0.0.1/32 scram-sha-256
host replication postgres 127.0.0.1/32 scram-sha-256
"""


def key_of_java(certified: Certified) -> Path:
    """Return the file of a key in the form that both clients read."""
    key = load_pem_private_key(certified.key.read_bytes(), None)
    path = certified.key.with_suffix(".pk8")
    path.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


@contextmanager
def secure_pair() -> Iterator[tuple[PostgresPair, str]]:
    """Yield the two servers, and their URL with every parameter."""
    with temporary_folder() as folder:
        authority = Authority(folder / "certificates")
        own, account = authority.certify("server"), account_of("postgres")
        settings = {
            "ssl": "on",
            "ssl_cert_file": str(own.certificate),
            "ssl_key_file": str(private_file(folder / "server.key", own.key.read_text(), account)),
            "ssl_ca_file": str(authority.file),
            "hba_file": str(private_file(folder / "rules.conf", RULES, account)),
        }
        client = authority.certify("client")
        files = {"sslrootcert": authority.file, "sslcert": client.certificate, "sslkey": key_of_java(client)}
        parameters = "".join(f"&{name}={quote(str(path))}" for name, path in files.items())
        with postgres_pair(folder, settings) as running:
            url = f"{running.url}&sslmode=verify-full&channel_binding=require{parameters}"
            migrate(POSTGRES_URL.parse(url))
            yield running, POSTGRES_URL.parse(url)
