"""Hadoop's own command line programs, run from the jars that set-up brought."""

import subprocess
from pathlib import Path

from jobs.local_stack.hdfs_nodes import hdfs_superuser
from jobs.local_stack.hdfs_rights import WRITER
from jobs.settings.state_home import state_home
from jobs.setup import programs

ADMINISTRATION = "org.apache.hadoop.hdfs.tools.DFSAdmin"
FILES = "org.apache.hadoop.fs.FsShell"
SECONDS_MAX = 120.0


def hdfs(stack_folder: Path, program: str, *words: str) -> None:
    """Run `hdfs dfsadmin` or `hdfs dfs` on the HDFS of a stack; raise AssertionError if it fails.

    Administration is done as HDFS's superuser, everything else as the pipeline's user.
    """
    classes = f"{stack_folder / 'etc' / 'hadoop'}:{state_home() / 'jars' / 'hadoop'}/*"
    command = [programs.java() or "java", "-cp", classes, program, *words]
    user = hdfs_superuser() if program == ADMINISTRATION else WRITER
    environ = {"HADOOP_USER_NAME": user}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{program} {' '.join(words)} failed: {done.stderr[-300:]}")
