"""The places of checkpoints outside the database: a folder, HDFS by WebHDFS, or a git repository."""

import os
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from billing.file_regular import read_regular
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode

ALLOWED = "a folder, webhdfs://host:port/folder, or git: and the URL or path of a git repository"
_HTTP_TIMEOUT_S = 30
_GIT_TIMEOUT_S = 120


class CheckpointPlace(Protocol):
    """Stores files by name. The commands never overwrite a stored file."""

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no such file. Raises CommandError if the place is away."""

    def write(self, name: str, content: bytes) -> None:
        """Store a new file, completely or not at all. Raises CommandError if it cannot be written."""


@contextmanager
def open_place(text: str) -> Iterator[CheckpointPlace]:
    """Yield the place of `--to`; a git repository is pushed to at the end.

    Raises:
        CommandError: it is not a place, does not exist, or cannot be written.
    """
    if text.startswith("git:"):
        with tempfile.TemporaryDirectory(prefix="viewledger-git-") as clone:
            repository = GitPlace(text.removeprefix("git:"), Path(clone) / "clone")
            yield repository
            repository.push()
    elif text.startswith("webhdfs://"):
        yield WebHdfsPlace(text)
    elif "://" in text or not text:
        raise CommandError(f"{text!r} is not a place for checkpoints; allowed: {ALLOWED}", ExitCode.BAD_INPUT)
    elif os.path.lexists(text) and not Path(text).is_dir():
        raise CommandError(f"{text!r} is there and is not a folder; allowed: {ALLOWED}", ExitCode.BAD_INPUT)
    else:
        yield FolderPlace(Path(text))


class FolderPlace:
    """A folder; it is created if it does not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no such file."""
        try:
            return read_regular(self._folder / name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CommandError(f"{self._folder / name} cannot be read ({error.strerror})") from error

    def write(self, name: str, content: bytes) -> None:
        """Write beside the final name first, so that a file exists completely or not at all."""
        part = self._folder / f".{name}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(self._folder / name)
        except OSError as error:
            raise CommandError(f"{self._folder / name} cannot be written ({error.strerror})") from error


class GitPlace:
    """A git repository: cloned, added to, committed and pushed once. git's own configuration names the committer."""

    def __init__(self, repository: str, clone: Path) -> None:
        self._repository, self._clone, self._names = repository, clone, list[str]()
        self._git("clone", "--quiet", "--", repository, str(clone), into=None)

    def read(self, name: str) -> bytes | None:
        """Return a file's content on the default branch; None if there is no such file."""
        return FolderPlace(self._clone).read(name)

    def write(self, name: str, content: bytes) -> None:
        """Put a file into the clone; `push` sends it."""
        FolderPlace(self._clone).write(name, content)
        self._names.append(name)

    def push(self) -> None:
        """Commit the new files and push them; without new files do nothing."""
        if self._names:
            self._git("add", "--", *self._names, into=self._clone)
            self._git("commit", "--quiet", "-m", f"Checkpoint {self._names[-1]}", into=self._clone)
            self._git("push", "--quiet", "origin", "HEAD", into=self._clone)

    def _git(self, *words: str, into: Path | None) -> None:
        where = ["-C", str(into)] if into else []
        try:
            done = subprocess.run(
                ["git", *where, *words], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False
            )
        except FileNotFoundError as error:
            raise CommandError("git is not installed", ExitCode.SETUP_FAILED) from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"git {words[0]} took more than {_GIT_TIMEOUT_S} s", ExitCode.UNAVAILABLE) from error
        if done.returncode:
            output = " ".join(done.stderr.split())
            raise CommandError(f"git {words[0]} with {self._repository} failed: {output}", ExitCode.UNAVAILABLE)


class WebHdfsPlace:
    """A folder on HDFS through the NameNode's HTTP port."""

    def __init__(self, url: str) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:  # a port that is none, or half of the brackets of an IPv6 address
            host = port = None
        if not host or not port or not parts.path.strip("/"):
            raise CommandError(f"{url!r} is not of the form webhdfs://host:port/folder", ExitCode.BAD_INPUT)
        self._base = f"http://{host}:{port}/webhdfs/v1{urllib.parse.quote(parts.path.rstrip('/'))}"
        self._url = url

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no such file."""
        return self._call("GET", name, "OPEN", None)

    def write(self, name: str, content: bytes) -> None:
        """Create the file under another name and rename it, so that it exists completely or not at all."""
        part = f".{name}.part"
        self._call("PUT", part, "CREATE&overwrite=true", content)
        path = urllib.parse.urlsplit(self._base).path.removeprefix("/webhdfs/v1")
        moved = self._call("PUT", part, f"RENAME&destination={urllib.parse.quote(f'{path}/{name}')}", b"")
        if moved != b'{"boolean":true}':
            raise CommandError(f"{self._url}/{name} cannot be written: another file has its name")

    def _call(self, method: str, name: str, operation: str, content: bytes | None) -> bytes | None:
        # The NameNode answers CREATE with the DataNode to send the content to; it is sent only there.
        url = f"{self._base}/{urllib.parse.quote(name)}?op={operation}&user.name=viewledger"
        try:
            if operation.startswith("CREATE"):
                answer = _request(method, url + "&noredirect=true", b"")
                url = answer.decode().partition('"Location":"')[2].partition('"')[0].replace("\\/", "/")
            return _request(method, url, content)
        except urllib.error.HTTPError as error:
            if error.code == 404 and method == "GET":
                return None
            raise CommandError(f"{self._url} answers with {error.code} {error.reason}", ExitCode.UNAVAILABLE) from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise CommandError(f"{self._url} does not answer ({reason})", ExitCode.UNAVAILABLE) from error


def _request(method: str, url: str, content: bytes | None) -> bytes:
    request = urllib.request.Request(url, content, method=method)  # noqa: S310  always http: built above
    request.add_header("Content-Type", "application/octet-stream")
    with urllib.request.urlopen(request, timeout=_HTTP_TIMEOUT_S) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body
