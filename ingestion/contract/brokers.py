"""The brokers of Kafka as every client is given them: where they listen, and what makes the two sides trust."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


@dataclass(frozen=True)
class Brokers:
    """Addresses and security; printed, it is the addresses alone."""

    addresses: tuple[str, ...]
    """Each as `host:port`."""
    protocol: str = "PLAINTEXT"
    """One of PROTOCOLS, by Kafka's names."""
    authorities: Path | None = None
    """A PEM file with the authorities that sign the brokers' certificates; None: those that the system trusts."""
    certificate: Path | None = None
    """A PEM file with the client's own certificate and those between it and its authority."""
    key: Path | None = None
    """A PEM file with the key of the certificate."""
    mechanism: str = MECHANISMS[0]
    """One of MECHANISMS; counts where the protocol has SASL."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return ",".join(self.addresses)

    @classmethod
    def at(cls, addresses: str) -> Self:
        """Return brokers without security, by addresses with commas between them."""
        return cls(tuple(addresses.split(",")))

    @property
    def has_tls(self) -> bool:
        """Return whether the connection is encrypted."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def has_sasl(self) -> bool:
        """Return whether the client shows a user and a password."""
        return self.protocol.startswith("SASL_")

    def of_python(self) -> dict[str, Any]:
        """Return the settings of a Python client."""
        settings: dict[str, Any] = {"bootstrap_servers": list(self.addresses), "security_protocol": self.protocol}
        if self.has_tls:
            files = {"ssl_cafile": self.authorities, "ssl_certfile": self.certificate, "ssl_keyfile": self.key}
            settings |= {name: str(path) for name, path in files.items() if path is not None}
        if self.has_sasl:
            settings |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return settings

    def of_java(self) -> dict[str, str]:
        """Return the settings of a Java client. They hold the certificates, so that other machines need no files.

        Raises:
            OSError: a file cannot be read.
        """
        settings = {"bootstrap.servers": str(self)}
        if self.protocol != "PLAINTEXT":
            settings["security.protocol"] = self.protocol
        if self.has_tls and self.authorities is not None:
            settings |= {
                "ssl.truststore.type": "PEM",
                "ssl.truststore.certificates": self.authorities.read_text(),
            }
        if self.has_tls and self.certificate is not None and self.key is not None:
            settings |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.certificate.chain": self.certificate.read_text(),
                "ssl.keystore.key": self.key.read_text(),
            }
        if self.has_sasl:
            module = "plain.PlainLoginModule" if self.mechanism == "PLAIN" else "scram.ScramLoginModule"
            name, password = _quoted(self.user or ""), _quoted(self.password or "")
            settings |= {
                "sasl.mechanism": self.mechanism,
                "sasl.jaas.config": f"org.apache.kafka.common.security.{module} required "
                f"username={name} password={password};",
            }
        return settings


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
