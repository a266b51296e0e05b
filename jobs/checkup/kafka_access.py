"""Whether the brokers accept us, and we them: one connection before the work, so that a refusal is one sentence.

A client of Kafka retries what no retry can heal, such as a wrong password, and says at last that nobody answered.
"""

import logging
import re
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import replace

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from kafka.net.compat import KafkaNetClient

from ingestion.contract.brokers import Brokers
from ingestion.contract.unavailable import Part, UnavailableError
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.settings.declared.servers import (
    KAFKA_CA_FILE,
    KAFKA_CERTIFICATE_FILE,
    KAFKA_PASSWORD,
    KAFKA_SASL_MECHANISM,
    KAFKA_SECURITY_PROTOCOL,
    KAFKA_USER,
)

ANSWER_MS_MAX = 3_000
TRIES = 5
READ, WRITE = "READ", "WRITE"
RIGHTS_FILE = "deploy/kafka/acls.sh"
TOPIC_AUTHORIZATION_FAILED = 29
_DISTRUST = re.compile(r"certificate verify failed: (.+?)\.? ?(?:\(_ssl|$)")
_ALERT = re.compile(r"alert ([a-z ]+?)(?:\]| \(|$)")
# a port for TLS may answer a client without it before it ends the connection: an alert, not a message of Kafka's
_ENDED = re.compile("socket disconnected|[Cc]onnection closed|[Cc]onnection reset|Broken pipe|Invalid frame length")
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNEXPECTED_EOF|HTTP_REQUEST")


def check_access(brokers: Brokers, needs: Mapping[str, Collection[str]]) -> None:
    """Return if we are accepted and may do what is needed; also if no broker answers, which the next call will say.

    `needs`: topic → READ, WRITE or both. Rights are looked at where a client is known by a user or a certificate.

    Raises:
        CommandError: REFUSED, with the reason.
        UnavailableError: see `is_accepted`.
    """
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its page of retries adds nothing to our one sentence
    if not is_accepted(brokers) or not needs or (brokers.user is None and brokers.certificate is None):
        return
    may = rights(brokers, needs)
    for topic, wanted in needs.items():
        missing = sorted(set(wanted) - set(may[topic])) if topic in may else []
        if missing:
            raise CommandError(
                f"{_who(brokers)} may not {' and '.join(missing).lower()} topic {topic}; give it the right "
                f"({RIGHTS_FILE}), or set {KAFKA_USER.name} to one who has it",
                ExitCode.REFUSED,
            )


def check_answer(brokers: Brokers) -> None:
    """Return if a broker accepts us; who would make a client to find out waits for all its retries.

    Raises:
        CommandError: see `is_accepted`.
        UnavailableError: no broker can be reached, or see `is_accepted`.
    """
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    if not is_accepted(brokers):
        raise UnavailableError(Part.KAFKA, f"Kafka at {brokers} does not answer")


def rights(brokers: Brokers, topics: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return what we may do with each topic, by Kafka's names; a topic that does not exist is left out."""
    try:
        with closing(KafkaAdminClient(**brokers.of_python(), bootstrap_timeout_ms=ANSWER_MS_MAX)) as admin:
            found = admin.describe_topics(list(topics))
    except KafkaError:
        return {}
    return {
        each["name"]: tuple(each.get("authorized_operations") or ())
        for each in found
        if each["error_code"] in (0, TOPIC_AUTHORIZATION_FAILED)
    }


def is_accepted(brokers: Brokers) -> bool:
    """Return whether a broker accepts us; False if none can be reached.

    Raises:
        CommandError: REFUSED, a broker refuses us, or we its certificate.
        UnavailableError: brokers can be reached, and each ends our connections without a word.
    """
    found = [_accepts(replace(brokers, addresses=(address,))) for address in brokers.addresses]
    if not any(found) and None in found:
        known_by = [KAFKA_USER.name, KAFKA_PASSWORD.name, KAFKA_SASL_MECHANISM.name] if brokers.has_sasl else []
        *others, last = [KAFKA_SECURITY_PROTOCOL.name, *known_by]
        check = f"{', '.join(others)} and {last}" if others else last
        raise UnavailableError(Part.KAFKA, f"Kafka at {brokers} ends every connection of ours; check {check}")
    return any(found)


def _accepts(broker: Brokers) -> bool | None:
    """Return whether a broker accepts us; None if it ends our connections.

    A broker that refuses a password answers and ends the connection at once. The client often drops the answer then,
    so it gets some tries.
    """
    for _ in range(TRIES):
        error = _error_of_connecting(broker)
        if error is None:
            return True
        if sentence := _refusal(broker, error):
            raise CommandError(sentence, ExitCode.REFUSED) from error
        if not _ENDED.search(str(error)):
            return False
    return None


def _error_of_connecting(broker: Brokers) -> KafkaError | None:
    with closing(KafkaNetClient(**broker.of_python())) as client:
        manager = client._manager
        (node,) = manager.cluster.bootstrap_brokers()

        async def connect() -> None:
            await manager.get_connection(
                node.node_id, timeout_ms=ANSWER_MS_MAX, pop_on_close=False, refresh_metadata_on_err=False
            )
            await manager.cluster.refresh_metadata(node.node_id)

        try:
            manager.run(connect)
        except KafkaError as error:
            return error
    return None


def _refusal(broker: Brokers, error: KafkaError) -> str | None:
    """Return one sentence for an error that no retry heals; None for any other."""
    text = str(error)
    if isinstance(error, SaslAuthenticationFailedError):
        return (
            f"Kafka at {broker} refuses user {broker.user!r} with this password; set {KAFKA_USER.name} and "
            f"{KAFKA_PASSWORD.name} right"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"Kafka at {broker} does not offer {broker.mechanism}; set {KAFKA_SASL_MECHANISM.name} to what it offers"
    if found := _DISTRUST.search(text):
        return (
            f"the certificate of Kafka at {broker} is not accepted ({found[1]}); renew it, or give the authority that "
            f"signed it by {KAFKA_CA_FILE.name}"
        )
    if found := _ALERT.search(text):
        shown = "our certificate" if broker.certificate else "a connection without certificate"
        return (
            f"Kafka at {broker} refuses {shown} ({found[1]}); set {KAFKA_CERTIFICATE_FILE.name} to one that it accepts"
        )
    if _NO_TLS.search(text):
        return (
            f"Kafka at {broker} does not speak TLS on this port; set {KAFKA_SECURITY_PROTOCOL.name}, or the port, right"
        )
    return None


def _who(brokers: Brokers) -> str:
    return f"Kafka's user {brokers.user!r}" if brokers.user else f"the owner of {brokers.certificate}"
