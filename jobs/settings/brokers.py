"""Read how Kafka is reached, and check what belongs together before anything connects."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from ingestion.contract.brokers import Brokers
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import (
    KAFKA_BOOTSTRAP,
    KAFKA_CA_FILE,
    KAFKA_CERTIFICATE_FILE,
    KAFKA_KEY_FILE,
    KAFKA_PASSWORD,
    KAFKA_SASL_MECHANISM,
    KAFKA_SECURITY_PROTOCOL,
    KAFKA_USER,
)
from jobs.settings.kinds import LocalPath

OF_TLS = (KAFKA_CA_FILE, KAFKA_CERTIFICATE_FILE, KAFKA_KEY_FILE)
OF_SASL = (KAFKA_USER, KAFKA_PASSWORD)
PKCS8 = "-----BEGIN PRIVATE KEY-----"


def read_brokers(environ: Mapping[str, str]) -> Brokers:
    """Return the brokers; raise CommandError(BAD_INPUT) naming the setting that is wrong or does not fit."""
    brokers = Brokers(
        addresses=KAFKA_BOOTSTRAP.read(environ),
        protocol=KAFKA_SECURITY_PROTOCOL.read(environ),
        authorities=KAFKA_CA_FILE.read_if_set(environ),
        certificate=KAFKA_CERTIFICATE_FILE.read_if_set(environ),
        key=KAFKA_KEY_FILE.read_if_set(environ),
        mechanism=KAFKA_SASL_MECHANISM.read(environ),
        user=KAFKA_USER.read_if_set(environ),
        password=KAFKA_PASSWORD.read_if_set(environ),
    )
    _check_protocol(brokers, environ)
    if brokers.has_tls:
        _check_files(brokers)
    return brokers


def _check_protocol(brokers: Brokers, environ: Mapping[str, str]) -> None:
    spoken = f"{KAFKA_SECURITY_PROTOCOL.name} is {brokers.protocol}"
    of_both = ((OF_TLS, brokers.has_tls, "SSL or SASL_SSL"), (OF_SASL, brokers.has_sasl, "SASL_SSL"))
    for settings, has, better in of_both:
        for each in settings:
            if not has and each.is_set(environ):
                _refuse(f"{each.name} is set, but {spoken}; make it {better}, or unset {each.name}")
    for each in OF_SASL:
        if brokers.has_sasl and not each.is_set(environ):
            _refuse(f"{each.name} is not set, but {spoken}; set it")
    if brokers.mechanism == "PLAIN" and brokers.protocol == "SASL_PLAINTEXT":
        _refuse(f"{KAFKA_SASL_MECHANISM.name} is PLAIN, but {spoken}, which shows the password to all; use SASL_SSL")
    if (brokers.certificate is None) != (brokers.key is None):
        is_set, is_not = (KAFKA_CERTIFICATE_FILE, KAFKA_KEY_FILE)[:: 1 if brokers.certificate else -1]
        _refuse(f"{is_set.name} is set without {is_not.name}; set both, or neither")


def _check_files(brokers: Brokers) -> None:
    """Load each file as a client will."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if brokers.authorities is not None:
        _text(KAFKA_CA_FILE, brokers.authorities)
        try:
            context.load_verify_locations(brokers.authorities)
        except ssl.SSLError:
            _refuse(f"{KAFKA_CA_FILE.name} is {str(brokers.authorities)!r}; it must hold certificates in PEM form")
    if brokers.certificate is not None and brokers.key is not None:
        _text(KAFKA_CERTIFICATE_FILE, brokers.certificate)
        if PKCS8 not in _text(KAFKA_KEY_FILE, brokers.key):
            _refuse(
                f"{KAFKA_KEY_FILE.name} is {str(brokers.key)!r}; it must hold a key in PKCS#8 form without a password "
                "(openssl pkcs8 -topk8 -nocrypt)"
            )
        try:
            context.load_cert_chain(brokers.certificate, brokers.key)
        except ssl.SSLError:
            _refuse(
                f"{KAFKA_CERTIFICATE_FILE.name} is {str(brokers.certificate)!r}; it must hold the certificate, in PEM "
                f"form, whose key is in {str(brokers.key)!r}"
            )


def _text(setting: LocalPath, path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        _refuse(f"{setting.name} names a file that cannot be read: {str(path)!r} ({error.strerror}); name a PEM file")
    except ValueError:
        _refuse(f"{setting.name} is {str(path)!r}, which is not text; name a PEM file")


def _refuse(sentence: str) -> NoReturn:
    raise CommandError(sentence, ExitCode.BAD_INPUT)
