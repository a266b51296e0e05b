"""Set the rights in the stack's HDFS: a task of the supervisor, by WebHDFS.

The root belongs to the pipeline's user; the group of analysts may read below it, others may not even enter. Later files
inherit the group.
"""

import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence

WRITER, READER, READERS = "viewledger", "analyst", "analysts"
"""The pipeline's user, the SQL server's user, and the latter's group."""
SECONDS_MAX = 10.0


def give_rights(http_port: int, superuser: str) -> None:
    """Set owner, group and mode of the root; idempotent. Raises OSError if HDFS refuses."""
    for operation in (
        {"op": "SETOWNER", "owner": WRITER, "group": READERS},
        {"op": "SETPERMISSION", "permission": "750"},
    ):
        query = urllib.parse.urlencode({**operation, "user.name": superuser})
        request = urllib.request.Request(f"http://127.0.0.1:{http_port}/webhdfs/v1/?{query}", method="PUT")
        urllib.request.urlopen(request, timeout=SECONDS_MAX).close()  # noqa: S310  (only our own http URL)


def main(words: Sequence[str]) -> None:
    """Read the NameNode's HTTP port and the superuser's name."""
    http_port, superuser = words
    give_rights(int(http_port), superuser)


if __name__ == "__main__":
    main(sys.argv[1:])
