"""Three Kafka brokers, each also a controller, for faults that a single broker cannot have.

They speak TLS among themselves and with our processes. The harness sends and reads on a listener without it.
"""

import signal
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.certificates import Authority
from faults.waiting import until
from jobs.child.accounts import account_of, owned_folder
from jobs.child.process import start
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.local_stack.kafka_broker import LOG4J2
from jobs.local_stack.ports import some_free_ports
from jobs.local_stack.probes import kafka_answers
from jobs.settings.declared.servers import KAFKA_BOOTSTRAP, KAFKA_CA_FILE, KAFKA_SECURITY_PROTOCOL
from jobs.settings.state_home import state_home
from jobs.setup import programs

NODES = (1, 2, 3)
READY_SECONDS = 90.0


class KafkaCluster:
    """Replication factor 3, two replicas must have a record before it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        java = programs.java()
        if java is None:
            raise CommandError("no usable Java is installed; run ./viewledger doctor", ExitCode.SETUP_FAILED)
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self._folder, self._account = folder, account_of("kafka")
        self._authority = Authority(folder / "certificates")
        self._store = self._authority.certify("broker").together
        self._ports = {node: some_free_ports(3) for node in NODES}
        """Broker → its ports without TLS, with TLS, and as a controller."""
        self._children: dict[int, Any] = {}
        logging = folder / "log4j2.yaml"
        logging.write_text(LOG4J2)
        classes = f"{state_home() / 'jars' / 'kafka'}/*"
        self._java = [java, "-Xmx320m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={logging}", "-cp", classes]

    @property
    def bootstrap(self) -> str:
        """Return every broker's address without TLS, for the harness."""
        return ",".join(f"127.0.0.1:{plain}" for plain, _, _ in self._ports.values())

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the settings by which our processes use it."""
        return {
            KAFKA_BOOTSTRAP.name: ",".join(f"127.0.0.1:{tls}" for _, tls, _ in self._ports.values()),
            KAFKA_SECURITY_PROTOCOL.name: "SSL",
            KAFKA_CA_FILE.name: str(self._authority.file),
        }

    def start_all(self) -> None:
        """Format the folders, start the brokers and wait for them."""
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formatting = []
        for node in NODES:
            config = self._write_config(node)
            words = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(config)]
            formatting.append(self._run(words, f"format-{node}"))
        if any(child.wait(60) for child in formatting):
            raise CommandError(f"Kafka's folders could not be formatted; see {self._folder}", ExitCode.UNAVAILABLE)
        for node in NODES:
            self.start(node)
        for node in NODES:
            self.wait_ready(node)

    def start(self, node: int) -> None:
        """Start a broker on the files in its folder."""
        self._children[node] = self._run(["kafka.Kafka", str(self._folder / f"{node}.properties")], f"broker-{node}")

    def wait_ready(self, node: int) -> None:
        """Wait until a broker answers."""
        until(lambda: kafka_answers(f"127.0.0.1:{self._ports[node][0]}"), READY_SECONDS, f"broker {node} answers")

    def kill(self, node: int) -> None:
        """Send SIGKILL."""
        self._children[node].send_signal(signal.SIGKILL)
        self._children[node].wait()

    def signal(self, node: int, number: int) -> None:
        """Send another signal, such as SIGSTOP."""
        self._children[node].send_signal(number)

    def restore(self) -> None:
        """Continue stopped brokers, start dead ones, and wait until all answer."""
        for node, child in self._children.items():
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
            else:
                self.start(node)
        for node in NODES:
            self.wait_ready(node)

    def close(self) -> None:
        """End all brokers."""
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                child.wait()

    def _run(self, words: list[str], name: str) -> Any:
        environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
        return start([*self._java, *words], environ=environ, log=self._folder / f"{name}.log", account=self._account)

    def _write_config(self, node: int) -> Path:
        plain, tls, controller = self._ports[node]
        settings = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": ",".join(f"{each}@127.0.0.1:{self._ports[each][2]}" for each in NODES),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "TLS",
            "listeners": f"PLAIN://127.0.0.1:{plain},TLS://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAIN://127.0.0.1:{plain},TLS://127.0.0.1:{tls}",
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,TLS:SSL,CONTROLLER:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._store,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._authority.file,
            "log.dirs": owned_folder(self._folder / f"data-{node}", self._account),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 3,
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            "transaction.state.log.replication.factor": 3,
            "transaction.state.log.min.isr": 2,
            "group.initial.rebalance.delay.ms": 0,
            "replica.lag.time.max.ms": 5000,
            "broker.session.timeout.ms": 6000,
        }
        path = self._folder / f"{node}.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path
