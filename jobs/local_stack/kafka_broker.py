"""One Kafka broker in KRaft mode, broker and controller in one process."""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from jobs.child.accounts import account_of, owned_folder
from jobs.local_stack.probes import kafka_answers
from jobs.local_stack.profile import Profile
from jobs.local_stack.unit import Kind, Unit
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP

LOG4J2 = """\
Configuration:
  Appenders:
    Console: {name: out, target: SYSTEM_OUT, PatternLayout: {pattern: "%d{ISO8601} %p %c: %m%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: out}}
    Logger: [{name: kafka.server.KafkaRaftServer, level: INFO}]
"""


def kafka_units(profile: Profile, *, java: str, jars: Path, environ: Mapping[str, str]) -> tuple[Unit, ...]:
    """Return the task that formats the log folder once, and the broker."""
    account = account_of("kafka")
    folder = profile.folder / "kafka"
    owned_folder(folder, account)
    config = str(profile.write_config("kafka/server.properties", properties(profile, folder)))
    logging = profile.write_config("kafka/log4j2.yaml", LOG4J2)
    classes = [java, "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # one word with its value: one id in 64 begins with a hyphen and would be read as a flag of its own
    formatting = Unit(
        name="kafka-format",
        kind=Kind.TASK,
        command=(*classes, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", config),
        environ=environ,
        account=account,
        done_marker=profile.folder / "prepared" / "kafka",
        fresh_folders=(folder,),
    )
    bootstrap = ",".join(KAFKA_BOOTSTRAP.read(profile.environment()))
    broker = Unit(
        name="kafka",
        kind=Kind.SERVER,
        command=(classes[0], "-Xms256m", "-Xmx512m", *classes[1:], "kafka.Kafka", config),
        environ=environ,
        after=(formatting.name,),
        probe=lambda: kafka_answers(bootstrap),
        account=account,
        port=profile.ports.kafka,
    )
    return formatting, broker


def properties(profile: Profile, folder: Path) -> str:
    """Return the broker's settings: one node, nothing created by accident, small internal topics."""
    broker, controller = profile.ports.kafka, profile.ports.kafka_controller
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "log",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,  # a single consumer need not wait for others
        "log.retention.check.interval.ms": 60000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
