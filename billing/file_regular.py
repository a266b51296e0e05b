"""Open files that a user names: opening a pipe could block without end, and reading a device never ends."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(file: Path) -> BinaryIO:
    """Return a regular file, opened at its beginning, without blocking.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe, a socket or a device; `strerror` says which.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is a folder, a pipe or a device; give a file", str(file))
    return os.fdopen(descriptor, "rb")


def read_regular(file: Path) -> bytes:
    """Return the content of a regular file; raise as `open_regular` does."""
    with open_regular(file) as opened:
        return opened.read()
