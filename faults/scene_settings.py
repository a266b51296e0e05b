"""The settings of our processes in a fault run: where its servers are, and what in them is its own."""

import os
from pathlib import Path

from faults.servers import Servers
from jobs.resilience.failpoints import VARIABLE
from jobs.settings.declared.servers import HDFS_URL, WAREHOUSE
from jobs.settings.state_home import PROJECT
from jobs.setup.programs import with_java_home
from jobs.wiring.postgres_logins import in_database


def scene_settings(servers: Servers, name: str, folder: Path, redis_url: str, postgres_url: str) -> dict[str, str]:
    """Return them; topic, group, namespace and warehouse have the name of the run."""
    environ = {
        **with_java_home(os.environ),
        **in_database(servers.stack.environment, postgres_url),
        **(servers.cluster.environ if servers.cluster else {}),
        **(servers.hdfs.environ if servers.hdfs else {}),
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "VIEWLEDGER_REDIS_URL": redis_url,
        "VIEWLEDGER_TOPIC_VIDEO_VIEWS": name,
        "VIEWLEDGER_TOPIC_DEAD_LETTERS": dead_letters_of(name),
        "VIEWLEDGER_SPEED_GROUP": name,
        "VIEWLEDGER_SPEED_NAMESPACE": name,
        "VIEWLEDGER_STATE_DIR": str(folder),
        "VIEWLEDGER_API_RATE_ANONYMOUS": "1000000000/minute",
        "VIEWLEDGER_API_METRICS_PORT": "0",  # several processes of a kind run at a time
        "VIEWLEDGER_COLLECTOR_METRICS_PORT": "0",
    }
    environ[WAREHOUSE.name] = f"{environ[HDFS_URL.name]}/{name}"
    environ.pop(VARIABLE, None)
    return environ


def dead_letters_of(topic: str) -> str:
    """Return the topic of a topic's rejected messages."""
    return f"{topic}-dlq"
