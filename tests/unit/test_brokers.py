"""How Kafka is reached: what settings belong together, and what each client is given."""

from pathlib import Path

import pytest

from faults.certificates import Authority
from ingestion.contract.brokers import Brokers
from jobs.checkup.kafka_access import check_access
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.brokers import read_brokers

PREFIX = "VIEWLEDGER_KAFKA_"
WITH_PASSWORD = {"SECURITY_PROTOCOL": "SASL_SSL", "USER": "speed", "PASSWORD": 'pass"word\\'}


def brokers_by(**settings: str) -> Brokers:
    return read_brokers({f"{PREFIX}{name}": value for name, value in {"BOOTSTRAP": "a:1,b:2", **settings}.items()})


def test_brokers_without_security_need_their_addresses_alone() -> None:
    brokers = brokers_by()
    assert brokers == Brokers.at("a:1,b:2")
    assert brokers.of_python() == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    assert brokers.of_java() == {"bootstrap.servers": "a:1,b:2"}


def test_both_clients_get_the_same_user_and_password() -> None:
    brokers = brokers_by(**WITH_PASSWORD)
    assert brokers.of_python()["sasl_plain_password"] == WITH_PASSWORD["PASSWORD"]
    assert brokers.of_java() == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        r'username="speed" password="pass\"word\\";',
    }


def test_java_gets_the_certificates_themselves(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.certify("speed")
    brokers = brokers_by(
        SECURITY_PROTOCOL="SSL",
        CA_FILE=str(authority.file),
        CERTIFICATE_FILE=str(own.certificate),
        KEY_FILE=str(own.key),
    )
    given = brokers.of_java()
    assert given["ssl.truststore.certificates"] == authority.file.read_text()
    assert given["ssl.keystore.certificate.chain"] == own.certificate.read_text()
    assert given["ssl.keystore.key"] == own.key.read_text()
    assert "sasl.mechanism" not in given


def test_a_password_is_never_printed() -> None:
    brokers = brokers_by(**WITH_PASSWORD)
    assert "pass" not in repr(brokers).replace("password=", "")
    assert str(brokers) == "a:1,b:2"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, "is 'TLS'; it must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL$"),
        ({"USER": "speed"}, "^VIEWLEDGER_KAFKA_USER is set, but VIEWLEDGER_KAFKA_SECURITY_PROTOCOL is PLAINTEXT; make"),
        (
            {"CA_FILE": "/ca"},
            "^VIEWLEDGER_KAFKA_CA_FILE is set, but .* is PLAINTEXT; make it SSL or SASL_SSL",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "PASSWORD": "x"},
            "^VIEWLEDGER_KAFKA_PASSWORD is set, but .* is SSL; make",
        ),
        ({**WITH_PASSWORD, "PASSWORD": ""}, "^VIEWLEDGER_KAFKA_PASSWORD is not set, but .* is SASL_SSL; set it$"),
        ({**WITH_PASSWORD, "SASL_MECHANISM": "GSSAPI"}, "must be one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN$"),
        (
            {**WITH_PASSWORD, "SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "PLAIN"},
            "is PLAIN, but .* is SASL_PLAINTEXT, which shows the password to all; use SASL_SSL$",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "CERTIFICATE_FILE": "/c"},
            "^VIEWLEDGER_KAFKA_CERTIFICATE_FILE is set without VIEWLEDGER_KAFKA_KEY_FILE; set both, or neither$",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "KEY_FILE": "/k"},
            "^VIEWLEDGER_KAFKA_KEY_FILE is set without VIEWLEDGER_KAFKA_CERTIFICATE_FILE; set both, or neither$",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "CA_FILE": "/none"},
            r"^VIEWLEDGER_KAFKA_CA_FILE names a file that cannot be read: '/none' \(No such file",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_sentence(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        brokers_by(**settings)
    assert caught.value.code is ExitCode.BAD_INPUT
    assert 'pass"word' not in str(caught.value)


def test_files_that_no_client_can_use_are_refused_in_one_sentence(tmp_path: Path) -> None:
    own, other = Authority(tmp_path / "one").certify("speed"), Authority(tmp_path / "two").certify("speed")
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_text(own.key.read_text().replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"))
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff")
    for settings, sentence in (
        ({"CA_FILE": str(own.key)}, r"it must hold certificates in PEM form$"),
        ({"CA_FILE": str(noise)}, r"which is not text; name a PEM file$"),
        ({"CERTIFICATE_FILE": str(own.certificate), "KEY_FILE": str(other.key)}, r"it must hold the certificate, in"),
        ({"CERTIFICATE_FILE": str(own.certificate), "KEY_FILE": str(encrypted)}, r"PKCS#8 form without a password"),
    ):
        with pytest.raises(CommandError, match=sentence):
            brokers_by(SECURITY_PROTOCOL="SSL", **settings)


def test_brokers_that_do_not_answer_are_left_to_the_next_call() -> None:
    check_access(Brokers.at("127.0.0.1:9"), {"video-views": ("READ",)})
