"""A broker as a real installation has it: TLS, users with passwords (SCRAM), clients known by certificates, rights."""

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faults.certificates import Authority
from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import start
from jobs.local_stack.kafka_broker import LOG4J2
from jobs.local_stack.ports import free_ports
from jobs.local_stack.probes import kafka_answers
from jobs.local_stack.stack import temporary_folder
from jobs.settings.state_home import PROJECT, state_home
from jobs.setup import programs

USERS = ("admin", "collector", "speed", "batch", "operator", "producer-tv", "nobody")
NAMES_BY_CERTIFICATE = "RULE:^CN=(.*)$/$1/,DEFAULT"
"""The broker's rule: the owner of CN=collector is the user collector."""


@dataclass(frozen=True)
class SecureKafka:
    """A running broker: where it listens in which way, and the files to be known to it."""

    folder: Path
    authority: Authority
    with_password: str
    with_certificate: str
    without_tls: str

    def environ(self, user: str, **changes: str) -> dict[str, str]:
        """Return the settings of a user; the password comes from a file. A change to "" unsets."""
        password = self.folder / f"{user}.password"
        password.write_text(f"{password_of(user)}\n")
        settings = {
            "BOOTSTRAP": self.with_password,
            "SECURITY_PROTOCOL": "SASL_SSL",
            "CA_FILE": str(self.authority.file),
            "USER": user,
            "PASSWORD_FILE": str(password),
        } | changes
        return {f"VIEWLEDGER_KAFKA_{name}": value for name, value in settings.items() if value}

    def environ_by_certificate(self, user: str, **changes: str) -> dict[str, str]:
        """Return the settings of a user who is known by a certificate."""
        certified = self.authority.certify(user)
        return self.environ(
            user,
            BOOTSTRAP=self.with_certificate,
            SECURITY_PROTOCOL="SSL",
            USER="",
            PASSWORD_FILE="",
            CERTIFICATE_FILE=str(certified.certificate),
            KEY_FILE=str(certified.key),
            **changes,
        )

    def give_rights(self, producers: Sequence[str] = ()) -> None:
        """Run the file that an administrator runs."""
        config = self.folder / "admin.properties"
        config.write_text(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type=PEM\n"
            f"ssl.truststore.location={self.authority.file}\n"
            "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="admin" password="{password_of("admin")}";\n'
        )
        program = self.folder / "kafka-acls.sh"
        classes = f"{state_home() / 'jars' / 'kafka'}/*"
        command = f"{programs.java()} -cp '{classes}' org.apache.kafka.tools.AclCommand"
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
        subprocess.run(
            [PROJECT / "deploy/kafka/acls.sh", self.with_password, config, *producers],
            env={"PATH": os.environ["PATH"], "KAFKA_ACLS": str(program)},
            check=True,
            capture_output=True,
        )


def password_of(user: str) -> str:
    """Return a password with characters that a quotation has to escape; the administrator's is in a file of Java's."""
    return "secret" if user == "admin" else f'{user}\\"s secret'


@contextmanager
def secure_kafka() -> Iterator[SecureKafka]:
    """Start a broker with every user, and no rights for any of them; end it."""
    ports, account = free_ports(), account_of("kafka")
    with temporary_folder() as folder:
        authority = Authority(folder / "certificates")
        kafka = SecureKafka(
            folder,
            authority,
            with_password=f"127.0.0.1:{ports.kafka}",
            with_certificate=f"127.0.0.1:{ports.api}",
            without_tls=f"127.0.0.1:{ports.collector}",
        )
        controller = f"127.0.0.1:{ports.kafka_controller}"
        config = folder / "server.properties"
        data = owned_folder(folder / "data", account)
        config.write_text(_properties(kafka, controller, data))
        (folder / "log4j2.yaml").write_text(LOG4J2)
        java = [
            str(programs.java()),
            "-Xmx320m",
            "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={folder / 'log4j2.yaml'}",
            "-cp",
            f"{state_home() / 'jars' / 'kafka'}/*",
        ]
        environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        users = [
            word
            for user in USERS
            for word in ("--add-scram", f"SCRAM-SHA-512=[name={user},password={password_of(user)}]")
        ]
        format_words = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(config)]
        formatting = start([*java, *format_words, *users], environ=environ, log=folder / "format.log", account=account)
        assert formatting.wait(60) == 0, (folder / "format.log").read_text()
        broker = start([*java, "kafka.Kafka", str(config)], environ=environ, log=folder / "broker.log", account=account)
        try:
            until(lambda: kafka_answers(kafka.without_tls) or broker.poll() is not None, 90, "the broker answers")
            assert broker.poll() is None, (folder / "broker.log").read_text()
            yield kafka
        finally:
            broker.kill()
            broker.wait()


def _properties(kafka: SecureKafka, controller: str, data: Path) -> str:
    store = kafka.authority.certify("broker").together
    listeners = {
        "PLAIN": kafka.without_tls,
        "PASSWORD": kafka.with_password,
        "CERTIFICATE": kafka.with_certificate,
    }
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAIN",
        "listeners": ",".join(f"{name}://{place}" for name, place in {**listeners, "CONTROLLER": controller}.items()),
        "advertised.listeners": ",".join(f"{name}://{place}" for name, place in listeners.items()),
        "listener.security.protocol.map": "PLAIN:PLAINTEXT,PASSWORD:SASL_SSL,CERTIFICATE:SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.password.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": store,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": kafka.authority.file,
        "listener.name.certificate.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": NAMES_BY_CERTIFICATE,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # the broker itself comes without a name, on listeners that nobody else reaches in an installation
        "super.users": "User:admin;User:ANONYMOUS",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
