"""The Java processes of a cluster on this machine: started from jars, ended by their ids."""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from jobs.child.accounts import owned_folder
from jobs.child.process import start
from jobs.errors import CommandError
from jobs.exit_codes import ExitCode
from jobs.setup import programs

PATH = "/usr/bin:/bin"
RUN_SECONDS = 90.0


class JavaNodes:
    """Processes by name, each with a log and a folder of its own, under our account: they run our Python.

    What a node starts by itself ends with it or, at the latest, with the application that it works for.
    """

    def __init__(
        self, folder: Path, *, classes: str, options: tuple[str, ...] = (), environ: Mapping[str, str]
    ) -> None:
        java = programs.java()
        if java is None:
            raise CommandError("no usable Java is installed; run ./viewledger doctor", ExitCode.SETUP_FAILED)
        self.folder = folder
        self._command = [java, "-Xmx256m", "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true", *options]
        self._command += ["-cp", classes]
        self._environ = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", **environ}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True)

    def own_folder(self, name: str) -> Path:
        """Return the folder of a node, which nobody else may enter."""
        return owned_folder(self.folder / name, None)

    def start(self, name: str, *words: str) -> None:
        """Start a node by its main class and the words after it."""
        self._children[name] = start(
            [*self._command, *words],
            environ=self._environ,
            log=self.folder / f"{name}.log",
            folder=self.own_folder(name),
        )

    def run(self, name: str, *words: str) -> None:
        """Run a program of a node to its end; raise CommandError if it fails or takes long."""
        self.start(name, *words)
        try:
            code = self._children[name].wait(RUN_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill(name)
            raise CommandError(f"{name} did not end within {RUN_SECONDS:.0f} s") from error
        if code:
            raise CommandError(f"{name} ended with {code}; its log: {self.folder / name}.log", ExitCode.UNAVAILABLE)

    def pid(self, name: str) -> int:
        """Return the process id of a node."""
        return self._children[name].pid

    def kill(self, name: str) -> None:
        """Send SIGKILL and wait for the node's end."""
        child = self._children[name]
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()

    def signal(self, name: str, number: int) -> None:
        """Send another signal, such as SIGSTOP."""
        self._children[name].send_signal(number)

    def close(self) -> None:
        """End all nodes."""
        for name in self._children:
            self.kill(name)


class NodesInBlock:
    """A cluster whose nodes live as long as a `with` block; those of a start that fails are ended, too."""

    nodes: JavaNodes

    def start(self) -> None:
        """Start the nodes, and wait until they can be used."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.nodes.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.nodes.close()
