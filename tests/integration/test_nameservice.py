"""A batch run on a nameservice of HDFS whose first NameNode is away."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psycopg2

from faults.warm_driver import WarmDriver
from jobs.exit_codes import ExitCode
from tests.batch_on_stack import own_batch
from tests.hadoop_settings import write_hadoop_settings

PROVIDER = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"


def test_a_run_keeps_its_tables_under_the_name_of_the_nameservice(
    stack_environment: Mapping[str, str], warm_driver: WarmDriver, tmp_path: Path
) -> None:
    write_hadoop_settings(
        tmp_path,
        {
            "dfs.nameservices": "views",
            "dfs.ha.namenodes.views": "away,there",
            "dfs.namenode.rpc-address.views.away": "127.0.0.1:1",
            "dfs.namenode.rpc-address.views.there": stack_environment["VIEWLEDGER_HDFS_URL"].removeprefix("hdfs://"),
            "dfs.client.failover.proxy.provider.views": PROVIDER,
        },
    )
    with own_batch(stack_environment, tmp_path / "state", warm_driver) as batch:
        batch.send(20, number=1)
        changed = {
            "HADOOP_CONF_DIR": str(tmp_path),
            "VIEWLEDGER_HDFS_URL": "hdfs://views",
            "VIEWLEDGER_WAREHOUSE": f"hdfs://views/{batch.topic}",
        }
        done = batch.run("batch", "run", "--begin-at-oldest", **changed)
        assert done.returncode == ExitCode.OK, done.stderr
        assert batch.current().row_counts["raw_events"] == 20
        with (
            closing(psycopg2.connect(batch.environ["VIEWLEDGER_POSTGRES_URL"])) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT DISTINCT substring(metadata_location FROM '^hdfs://[^/]*/') FROM iceberg_tables")
            assert cursor.fetchall() == [("hdfs://views/",)]
