"""Attacks on the SQL server, and the state of the real servers that they must not change."""

import json
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from tests.batch_on_stack import WAREHOUSE_PREFIX, Batch

WRITES = """
    INSERT INTO {table} SELECT * FROM {table}
    INSERT OVERWRITE {table} SELECT * FROM {table} WHERE false
    DELETE FROM {table}
    DELETE FROM {table} WHERE views > 0
    UPDATE {table} SET views = 1000000
    MERGE INTO {table} t USING {table} s ON t.video_id = s.video_id WHEN MATCHED THEN UPDATE SET views = 0
    TRUNCATE TABLE {table}
    DROP TABLE {table}
    DROP TABLE {table} PURGE
    ALTER TABLE {table} ADD COLUMN mine int
    ALTER TABLE {table} RENAME TO {namespace}.mine
    ALTER TABLE {table} SET TBLPROPERTIES ('gc.enabled' = 'true')
    ALTER TABLE {table} SET LOCATION 'file:///tmp/viewledger-stolen'
    CREATE TABLE {namespace}.mine (a int) USING iceberg
    CREATE TABLE {namespace}.mine USING iceberg AS SELECT * FROM {table}
    CREATE OR REPLACE TABLE {table} (a int) USING iceberg
    CREATE NAMESPACE {catalog}.mine
    DROP NAMESPACE {namespace} CASCADE
    CALL {catalog}.system.rollback_to_snapshot('{namespace}.views_by_video', {snapshot})
    CALL {catalog}.system.set_current_snapshot('{namespace}.views_by_video', {snapshot})
    CALL {catalog}.system.expire_snapshots(table => '{namespace}.views_by_video', older_than => timestamp '2999-01-01')
    CALL {catalog}.system.remove_orphan_files(table => '{namespace}.views_by_video')
    CALL {catalog}.system.rewrite_data_files('{namespace}.views_by_video')
    CALL {catalog}.system.add_files('{namespace}.views_by_video', '`parquet`.`{warehouse}`')
    CALL {catalog}.system.register_table('{namespace}.mine', '{warehouse}/x.metadata.json')"""
"""On a table of a catalogue."""

FILES = """
    SELECT * FROM csv.`file:///etc/passwd`
    SELECT * FROM text.`/etc/passwd`
    SELECT * FROM parquet.`{warehouse}`
    SELECT * FROM binaryFile.`{warehouse}`
    CREATE TEMPORARY VIEW mine USING csv OPTIONS (path 'file:///etc/passwd')
    INSERT OVERWRITE DIRECTORY '{warehouse}/stolen' USING parquet SELECT 1 AS a
    INSERT OVERWRITE DIRECTORY '{hdfs}/stolen' USING csv SELECT 1 AS a
    INSERT OVERWRITE DIRECTORY '{warehouse}' USING csv SELECT 1 AS a
    CREATE TABLE spark_catalog.default.mine USING parquet LOCATION '{warehouse}/stolen' AS SELECT 1 AS a
    CREATE TABLE spark_catalog.default.mine USING csv LOCATION 'file:///etc/passwd'
    LOAD DATA INPATH '{warehouse}' INTO TABLE {table}"""
"""On files past every catalogue."""

CODE = """
    ADD JAR 'file:///tmp/mine.jar'
    ADD FILE 'file:///etc/passwd'
    LIST JARS
    SET
    SET spark.sql.catalog.mine=org.apache.iceberg.spark.SparkCatalog
    SET spark.connect.authenticate.token
    CREATE TEMPORARY FUNCTION mine AS 'java.lang.System'
    SELECT reflect('java.lang.System', 'getenv')
    SELECT reflect('java.lang.System', 'getenv', 'VIEWLEDGER_SQL_POSTGRES_URL')
    SELECT try_reflect('java.lang.System', 'getenv', 'VIEWLEDGER_POSTGRES_URL')
    SELECT java_method('java.lang.System', 'getProperties')
    SELECT TRANSFORM (1) USING 'cat /etc/passwd' AS (a)"""
"""On the server's own process."""


def statements(text: str, places: Mapping[str, object]) -> list[str]:
    """The statements of a text, with the places that they name."""
    return [line.strip().format(**places) for line in text.strip().splitlines()]


def state(batch: Batch) -> object:
    """Return the catalogue's rows, the pointer, and how many folders, files and bytes the warehouse holds.

    Of HDFS outside it the names in its root, but for other tests' warehouses, which are written meanwhile.
    """
    with closing(psycopg2.connect(batch.environ["VIEWLEDGER_POSTGRES_URL"])) as connection:
        cursor = connection.cursor()
        rows = []
        for table in ("iceberg_tables", "iceberg_namespace_properties", "published.versions", "published.pointer"):
            cursor.execute(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)), count(*) FROM {table} t")
            rows.append((table, cursor.fetchone()))
    own = urlsplit(batch.environ["VIEWLEDGER_WAREHOUSE"]).path
    summary = webhdfs(batch, "GET", f"{own}?op=GETCONTENTSUMMARY", "viewledger")["ContentSummary"]
    listed: Any = webhdfs(batch, "GET", "/?op=LISTSTATUS", "viewledger")["FileStatuses"]["FileStatus"]
    names = sorted(each["pathSuffix"] for each in listed if not each["pathSuffix"].startswith(WAREHOUSE_PREFIX))
    return rows, names, {name: summary[name] for name in ("directoryCount", "fileCount", "length")}


def webhdfs(batch: Batch, method: str, question: str, user: str) -> dict[str, dict[str, int]]:
    """Call the NameNode as a user; raise urllib.error.HTTPError with 403 for anything that is not allowed."""
    port = batch.environ["VIEWLEDGER_NAMENODE_HTTP_PORT"]
    url = f"http://127.0.0.1:{port}/webhdfs/v1{question}&user.name={user}"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as answer:
        return dict(json.loads(answer.read() or b"{}"))


class EverythingOpen:
    """Rules of a proxy that refuses nothing: what an analyst could do if the proxy failed."""

    def check(self, request: object) -> None:
        """Let it through."""


def java_of(process_id: int) -> tuple[int, str]:
    """The port and the token of the Spark that a server started, as only its own account can learn them."""
    children = [
        int(word) for file in Path(f"/proc/{process_id}/task").glob("*/children") for word in file.read_text().split()
    ]
    for child in children:
        arguments = Path(f"/proc/{child}/cmdline").read_bytes().decode()
        if "spark.connect.grpc.binding.port=" in arguments:
            port = arguments.partition("spark.connect.grpc.binding.port=")[2].partition("\0")[0]
            environ = Path(f"/proc/{child}/environ").read_bytes().decode()
            return int(port), environ.partition("SPARK_CONNECT_AUTHENTICATE_TOKEN=")[2].partition("\0")[0]
    raise AssertionError(f"process {process_id} has started no Spark")
