"""Every client of Kafka on a broker with TLS, users, certificates and rights; and what it says when it is refused."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from faults.certificates import Authority
from ingestion.contract.event import Reason, RejectedEvent
from ingestion.contract.topics import PARTITION_COUNT, TOPIC_CLOCK, TOPIC_DEAD_LETTERS, TOPIC_VIDEO_VIEWS
from ingestion.contract.unavailable import UnavailableError
from ingestion.intake import AdmittedEvent
from jobs.checkup import kafka_access
from jobs.checkup.checks import CheckVerdict
from jobs.checkup.kafka_access import READ, WRITE, check_access
from jobs.checkup.servers import broker_clock_rows, kafka_rows
from jobs.checkup.topics import admin_client
from jobs.commands.topics import create
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.servers import our_command
from jobs.settings import KafkaConnection
from jobs.settings.brokers import read_brokers
from jobs.settings.state_home import PROJECT
from jobs.wiring.event_log import connect, open_log_ends
from speed_layer.chunk import Rejection
from speed_layer.kafka_dead_letter_replay import KafkaDeadLetterReplay
from speed_layer.kafka_dead_letters import KafkaDeadLetters
from speed_layer.kafka_log import KafkaLog, KafkaLogSettings
from tests.secure_kafka import SecureKafka, secure_kafka

OF_A_USER = [
    "VIEWLEDGER_KAFKA_SECURITY_PROTOCOL",
    "VIEWLEDGER_KAFKA_USER",
    "VIEWLEDGER_KAFKA_PASSWORD and VIEWLEDGER_KAFKA_SASL_MECHANISM",
]


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecureKafka]:
    """A broker with the topics, and the rights that the file for administrators gives."""
    with secure_kafka() as running:
        connection = KafkaConnection.from_environ(running.environ("admin"))
        with admin_client(connection) as admin:
            create(admin, connection)
        running.give_rights(["producer-tv"])
        yield running


@dataclass(frozen=True)
class Message:
    """A message that breaks the contract."""

    offset: int = 0
    timestamp: int = 1_795_574_345_000
    value: bytes | None = b"{}"


def send(environ: Mapping[str, str], count: int = 1) -> None:
    """Append events as the collector does."""
    events = [AdmittedEvent("", f"v{number}".encode(), b"{}", datetime.now(UTC)) for number in range(count)]
    with closing(connect(read_brokers(environ), TOPIC_VIDEO_VIEWS, 15_000)) as log:
        log.append(events).result(60)


def refusal(environ: Mapping[str, str], needs: Mapping[str, tuple[str, ...]] | None = None) -> str:
    """Return the one sentence with which a client is refused."""
    with pytest.raises((CommandError, UnavailableError)) as caught:
        check_access(read_brokers(environ), needs or {})
    assert isinstance(caught.value, UnavailableError) or caught.value.code is ExitCode.REFUSED
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("user", ["collector", "producer-tv"])
def test_who_may_write_writes_by_password_and_by_certificate(kafka: SecureKafka, user: str) -> None:
    send(kafka.environ(user))
    send(kafka.environ_by_certificate(user))


@pytest.mark.parametrize("user", ["speed", "batch", "nobody"])
def test_nobody_else_writes_events(kafka: SecureKafka, user: str) -> None:
    sentence = f"Kafka's user '{user}' may not write topic video-views; give it the right (deploy/kafka/acls.sh)"
    assert refusal(kafka.environ(user), {TOPIC_VIDEO_VIEWS: (WRITE,)}).startswith(sentence)


def test_the_collector_may_not_read_what_it_writes(kafka: SecureKafka) -> None:
    assert "may not read topic video-views" in refusal(kafka.environ("collector"), {TOPIC_VIDEO_VIEWS: (READ,)})


def test_who_is_known_by_a_certificate_is_refused_by_its_file(kafka: SecureKafka) -> None:
    sentence = refusal(kafka.environ_by_certificate("nobody"), {TOPIC_VIDEO_VIEWS: (READ,)})
    assert sentence.startswith("the owner of ")
    assert "nobody.crt may not read topic video-views" in sentence


def test_the_speed_layer_reads_joins_its_group_and_writes_dead_letters(kafka: SecureKafka) -> None:
    brokers = read_brokers(kafka.environ("speed"))
    send(kafka.environ("collector"), 50)
    letters = KafkaDeadLetters(brokers, source_topic=TOPIC_VIDEO_VIEWS, topic=TOPIC_DEAD_LETTERS)
    with closing(KafkaLog(KafkaLogSettings(brokers, TOPIC_VIDEO_VIEWS, "viewledger-speed"))) as log, closing(letters):
        for _ in range(60):
            log.poll(0.5)
            if len(log.assignment()[1]) == PARTITION_COUNT:
                break
        assert len(log.assignment()[1]) == PARTITION_COUNT
        log.begin(0, 0)
        assert sum(each.highwater for each in log.ranges(range(PARTITION_COUNT)).values()) >= 50
        letters.send([(0, Rejection(Message(), RejectedEvent((Reason("timestamp_without_zone", "x"),), None)))])
    operator = read_brokers(kafka.environ("operator"))
    replay = KafkaDeadLetterReplay(operator, None, source_topic=TOPIC_VIDEO_VIEWS, topic=TOPIC_DEAD_LETTERS)  # type: ignore[arg-type]
    assert [each.offset for each in replay.newest(5)] == [0]


def test_a_batch_run_reads_the_log_and_the_brokers_clock(kafka: SecureKafka) -> None:
    for environ in (kafka.environ("batch"), kafka.environ_by_certificate("batch")):
        with closing(open_log_ends(read_brokers(environ), TOPIC_VIDEO_VIEWS)) as log:
            assert log.log_id()
            assert len(log.highwaters()) == PARTITION_COUNT
            assert abs((log.broker_time() - datetime.now(UTC)).total_seconds()) < 60


def test_doctor_sees_the_topics_and_the_clock(kafka: SecureKafka) -> None:
    environ = kafka.environ("operator")
    assert [row.verdict for row in kafka_rows(environ)] == [CheckVerdict.OK]
    assert broker_clock_rows(environ)[0].verdict is CheckVerdict.OK


def test_a_wrong_user_password_or_mechanism_is_one_sentence(kafka: SecureKafka, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    for environ, remedy in (
        (kafka.environ("stranger"), "VIEWLEDGER_KAFKA_USER and VIEWLEDGER_KAFKA_PASSWORD right"),
        (kafka.environ("speed", PASSWORD_FILE=str(wrong)), "VIEWLEDGER_KAFKA_USER and VIEWLEDGER_KAFKA_PASSWORD right"),
        (kafka.environ("speed", SASL_MECHANISM="SCRAM-SHA-256"), "VIEWLEDGER_KAFKA_SASL_MECHANISM to what it offers"),
    ):
        sentence = refusal(environ)
        # the client may drop the broker's answer when the end of the connection comes with it
        assert sentence.endswith((remedy, f"ends every connection of ours; check {', '.join(OF_A_USER)}"))
        assert "guess" not in sentence


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_protocol_that_the_port_does_not_speak_is_one_sentence(
    kafka: SecureKafka, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_access, "ANSWER_MS_MAX", 60_000)  # a busy broker ends the connection late
    environ = kafka.environ("", SECURITY_PROTOCOL=protocol, PASSWORD_FILE="")
    if protocol == "PLAINTEXT":
        del environ["VIEWLEDGER_KAFKA_CA_FILE"]
    assert refusal(environ) == (
        f"Kafka at {kafka.with_password} ends every connection of ours; check VIEWLEDGER_KAFKA_SECURITY_PROTOCOL"
    )


def test_a_certificate_of_the_broker_that_is_not_trusted_is_one_sentence(kafka: SecureKafka, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    sentence = refusal(kafka.environ("speed", CA_FILE=str(stranger.file)))
    assert sentence.startswith(f"the certificate of Kafka at {kafka.with_password} is not accepted (")
    assert sentence.endswith("give the authority that signed it by VIEWLEDGER_KAFKA_CA_FILE")


def test_a_certificate_of_ours_that_is_missing_expired_or_a_strangers_is_one_sentence(
    kafka: SecureKafka, tmp_path: Path
) -> None:
    wrong = [
        kafka.authority.certify("expired", expired=True),
        Authority(tmp_path, "stranger").certify("speed"),
    ]
    for each in wrong:
        environ = kafka.environ_by_certificate("speed") | {
            "VIEWLEDGER_KAFKA_CERTIFICATE_FILE": str(each.certificate),
            "VIEWLEDGER_KAFKA_KEY_FILE": str(each.key),
        }
        assert f"Kafka at {kafka.with_certificate} refuses our certificate (" in refusal(environ)
    unset = {"VIEWLEDGER_KAFKA_CERTIFICATE_FILE": "", "VIEWLEDGER_KAFKA_KEY_FILE": ""}
    assert "refuses a connection without certificate (" in refusal(kafka.environ_by_certificate("speed") | unset)


def test_a_port_without_tls_is_one_sentence(kafka: SecureKafka) -> None:
    assert "does not speak TLS on this port" in refusal(kafka.environ("speed", BOOTSTRAP=kafka.without_tls))


def test_a_command_ends_with_that_sentence_and_says_nothing_of_the_password(kafka: SecureKafka) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **kafka.environ("speed")}
    event = {"event_id": str(UUID(int=7, version=4)), "video_id": "v"}
    sent = subprocess.run(
        our_command("ingest", "-"),
        env=environ | {"VIEWLEDGER_PSEUDONYM_KEY": "ab" * 32, "VIEWLEDGER_HOME": str(kafka.folder)},
        input=json.dumps(event),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert sent.returncode == ExitCode.REFUSED
    (line,) = sent.stderr.strip().splitlines()
    assert "Kafka's user 'speed' may not write topic video-views" in line
    assert TOPIC_CLOCK not in line
