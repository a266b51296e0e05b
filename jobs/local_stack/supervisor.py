"""Start a stack's units in order, restart dead ones, and leave no process running. One thread, one loop."""

import argparse
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from jobs.errors import CommandError
from jobs.local_stack.child import RUNNING_POLICY, STARTING_POLICY, Child, ChildState
from jobs.local_stack.ports import Ports
from jobs.local_stack.profile import Profile, write_atomically, write_environment
from jobs.local_stack.servers import plan
from jobs.local_stack.unit import Kind, Unit
from jobs.telemetry.json_log import log_json

logger = logging.getLogger(__name__)

BUSY_SECONDS, IDLE_SECONDS = 0.1, 2.0
STOP_WAVES = ((Kind.PROCESS, Kind.TASK), (Kind.SERVER,))
"""Our processes are stopped before the servers that they write to."""


class Supervisor:
    """Owns the children of one stack from start to stop."""

    def __init__(self, profile: Profile, units: Sequence[Unit]) -> None:
        self.profile = profile
        self.children = {unit.name: Child(unit, profile.log(unit.name), profile.folder) for unit in units}
        for child in self.children.values():
            child.log.write_bytes(b"")
            if child.unit.done_marker is not None and child.unit.done_marker.exists():
                child.state = ChildState.DONE
        self.state, self.error = "starting", ""
        self.started_clock, self.ready_after_seconds = time.monotonic(), 0.0
        self.stop_wanted = False
        self.written = ""

    def run(self) -> int:
        """Supervise until stopped; return 0 after a stop on request, 1 if the stack could not start."""
        wake, wake_write = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._want_stop)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # only to wake the loop
        while not self.stop_wanted and self.state != "failed":
            self.step()
            self.publish()
            busy = any(child.state in (ChildState.STARTING, ChildState.BACKING_OFF) for child in self.children.values())
            if select.select([wake], [], [], BUSY_SECONDS if busy else IDLE_SECONDS)[0]:
                os.read(wake, 4096)
        return self.stop()

    def _want_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_wanted = True

    def step(self) -> None:
        """Check every child once: collect the dead, start those that may start, probe those that are starting."""
        for child in self.children.values():
            if self.stop_wanted:
                return
            if child.process is not None and (code := child.process.poll()) is not None:
                self.note_end(child, code)
            elif child.state in (ChildState.WAITING, ChildState.BACKING_OFF) and self.may_start(child):
                self.start(child)
            elif child.state is ChildState.STARTING:
                self.probe(child)
            child.bound_log()
        if self.state == "starting" and all(child.satisfied for child in self.children.values()):
            self.state = "ready"
            self.ready_after_seconds = round(time.monotonic() - self.started_clock, 1)
            logger.info("stack ready", extra={"fields": {"seconds": self.ready_after_seconds}})

    def may_start(self, child: Child) -> bool:
        """Return whether the child's dependencies are ready and its backoff is over."""
        needed = [self.children[name] for name in child.unit.after if name in self.children]
        return time.monotonic() >= child.next_start_clock and all(other.satisfied for other in needed)

    def start(self, child: Child) -> None:
        """Start a child; a program that cannot be started counts as dead."""
        try:
            child.start()
        except (OSError, subprocess.SubprocessError) as error:
            child.log.write_text(f"ERROR cannot start {child.unit.command[0]}: {error}\n")
            self.note_end(child, 127)
            return
        logger.info("child started", extra={"fields": {"name": child.unit.name, "pid": self.pid(child)}})

    def probe(self, child: Child) -> None:
        """Probe a starting child; one that takes too long is ended and counts as dead."""
        child.probe()
        late = time.monotonic() - child.started_clock > child.unit.ready_within_seconds
        if child.state is ChildState.STARTING and late and child.process is not None:
            logger.error("child not ready in time", extra={"fields": {"name": child.unit.name}})
            child.process.kill()
        elif child.state is ChildState.READY:
            seconds = round(time.monotonic() - child.started_clock, 1)
            logger.info("child ready", extra={"fields": {"name": child.unit.name, "seconds": seconds}})

    def note_end(self, child: Child, code: int) -> None:
        """Log the end of a child and decide what follows from it."""
        delay = child.note_end(code, STARTING_POLICY if self.state == "starting" else RUNNING_POLICY)
        fields = {"name": child.unit.name, "code": code, "restarts": child.restarts, "delay_seconds": delay}
        if child.state is ChildState.DONE:
            logger.info("task done", extra={"fields": fields})
        elif child.state is ChildState.BACKING_OFF:
            logger.warning("child died, will be restarted", extra={"fields": fields})
        else:
            self.error = (
                f"{child.unit.name} ended with code {code} {len(child.deaths)} times in a row: {child.last_words()} "
                f"(its log: {child.log})"
            )
            self.state = "failed"
            logger.error("child given up", extra={"fields": fields | {"error": self.error}})

    def stop(self) -> int:
        """End every child in waves, first by SIGTERM, and write the last report."""
        failed = self.state == "failed"
        if not failed:
            self.state = "stopping"
        self.publish()
        for kinds in STOP_WAVES:
            self.stop_wave([child for child in self.children.values() if child.unit.kind in kinds])
        if not failed:
            self.state = "stopped"
        (self.profile.folder / "stack.env").unlink(missing_ok=True)
        self.publish()
        logger.info("stack stopped", extra={"fields": {"state": self.state}})
        return 1 if failed else 0

    def stop_wave(self, children: Sequence[Child]) -> None:
        """Send SIGTERM to these children, wait for each within its time, then kill the rest."""
        running = [child for child in children if child.process is not None]
        for child in running:
            if child.process is not None:
                child.process.send_signal(child.unit.stop_signal)
        asked_clock = time.monotonic()
        for child in running:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, asked_clock + child.unit.stop_within_seconds - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("child killed", extra={"fields": {"name": child.unit.name}})
                child.process.kill()
                child.process.wait()
            child.last_exit, child.process = child.process.returncode, None
        for child in children:
            if child.state is not ChildState.DONE:
                child.state = ChildState.STOPPED

    def pid(self, child: Child) -> int | None:
        """Return the child's process id while it has a process."""
        return child.process.pid if child.process is not None else None

    def publish(self) -> None:
        """Write `stack.json` if anything in it changed; readers see complete versions only."""
        children = {
            name: {
                "kind": child.unit.kind.value,
                "state": child.state.value,
                "pid": self.pid(child),
                "port": child.unit.port,
                "started_at": child.started_at or None,
                "restarts": child.restarts,
                "last_exit": child.last_exit,
                "stop_signal": int(child.unit.stop_signal),
                "stop_within_seconds": child.unit.stop_within_seconds,
            }
            for name, child in self.children.items()
        }
        ports = self.profile.ports
        text = json.dumps(
            {
                "state": self.state,
                "error": self.error,
                "supervisor_pid": os.getpid(),
                "ready_after_seconds": self.ready_after_seconds,
                "ports": ports.by_name(),
                "urls": {
                    "api": f"http://127.0.0.1:{ports.api}",
                    "collector": f"http://127.0.0.1:{ports.collector}",
                    "kafka": f"127.0.0.1:{ports.kafka}",
                    "namenode": f"http://127.0.0.1:{ports.namenode_http}/jmx",
                },
                "children": children,
            },
            indent=1,
        )
        if text != self.written:
            write_atomically(self.profile.folder / "stack.json", text)
            self.written = text


def main(words: Sequence[str] | None = None) -> int:
    """Run the supervisor of one folder, alone; the lock on the folder is held until this process ends."""
    parser = argparse.ArgumentParser(description="Supervises one local stack (started by ./viewledger up and demo).")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ports", required=True, help="the ports as a JSON object")
    parser.add_argument("--servers", default="", help="comma-separated")
    parser.add_argument("--processes", default="", help="comma-separated")
    parser.add_argument("--observed", action="store_true", help="with Prometheus, Alertmanager and exporters")
    arguments = parser.parse_args(words)
    log_json()
    lock = (arguments.folder / "supervisor.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another supervisor runs this stack", file=sys.stderr)
        return 1
    profile = Profile(arguments.folder, Ports(**json.loads(arguments.ports)))
    write_environment(profile.folder, profile.environment())
    try:
        units = plan(
            profile,
            servers=names(arguments.servers),
            processes=names(arguments.processes),
            is_observed=arguments.observed,
        )
    except CommandError as error:
        print(error, file=sys.stderr)
        return int(error.code)
    return Supervisor(profile, units).run()


def names(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated argument."""
    return tuple(name for name in text.split(",") if name)


if __name__ == "__main__":
    sys.exit(main())
