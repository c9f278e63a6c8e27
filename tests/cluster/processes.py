"""Processes that outlive the command that started them: recorded at birth, ended by identity, never by name.

A process is identified by boot, pid and start time, so that a pid that the kernel gave to someone else is never
signalled. As a second net, each process carries a mark in its environment, which its children inherit; that finds
what was started in the instant before a crash could record it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MARK = "RAG_CLUSTER_MARK"
_START_TIME_FIELD = 19  # field 22 of proc(5) stat, counted after the command's closing parenthesis
_KILLED_SECONDS = 60.0  # far more than the kernel takes, unless it hangs
_children: list[int] = []  # pids to reap; no Popen is kept, since one complains of a daemon that outlives it


@dataclass(frozen=True, slots=True)
class Recorded:
    """One started process; `started` is in clock ticks since boot."""

    name: str
    pid: int
    started: int
    boot: str


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def parse_stat(stat: str) -> tuple[str, int]:
    """The state letter and the start time out of a line of /proc/PID/stat, whose command may hold spaces and ')'."""
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[_START_TIME_FIELD])


def start_time(pid: int) -> int | None:
    """When the process started, or None when there is no such process or only its zombie."""
    try:
        state, started = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else started


def is_alive(recorded: Recorded) -> bool:
    """Whether this very process, not another one with its pid, still runs."""
    return recorded.boot == boot_id() and start_time(recorded.pid) == recorded.started


def this_process(name: str) -> Recorded:
    """The record of the running interpreter."""
    pid = os.getpid()
    started = start_time(pid)
    assert started is not None
    return Recorded(name, pid, started, boot_id())


def marked(mark: str) -> list[Recorded]:
    """Every process whose environment carries the mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        started = start_time(int(entry.name))
        if wanted in environment and started is not None:
            found.append(Recorded("marked", int(entry.name), started, boot_id()))
    return found


def signal_to(recorded: Recorded, number: signal.Signals) -> None:
    """Send the signal if this very process still runs."""
    if is_alive(recorded):
        with suppress(ProcessLookupError):
            os.kill(recorded.pid, number)


def wait_until(true: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Poll until the condition holds; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def end(processes: Iterable[Recorded], grace: float = 5.0) -> None:
    """Ask the processes to end, and kill what is left after the grace period (seconds)."""
    ending = [one for one in processes if is_alive(one)]
    for one in ending:
        signal_to(one, signal.SIGTERM)
    wait_until(lambda: _reaped(ending), grace)
    for one in ending:
        signal_to(one, signal.SIGKILL)
    wait_until(lambda: _reaped(ending), _KILLED_SECONDS)


def _reaped(processes: Sequence[Recorded]) -> bool:
    for pid in tuple(_children):
        with suppress(ChildProcessError):  # reaped by another
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _children.remove(pid)  # the next child of this pid is not ours to reap
    return not any(is_alive(one) for one in processes)


class Ledger:
    """The list of a cluster's processes on disk, one JSON line each, written as they start."""

    def __init__(self, path: Path, mark: str) -> None:
        self.path = path
        self.mark = mark

    def start(self, name: str, command: Sequence[str], log: Path, folder: Path) -> Recorded:
        """Start a daemon in a session of its own, with its output in the log file, and record it."""
        environment = {**os.environ, MARK: self.mark}
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        child.returncode = 0  # a daemon: it is the ledger that knows whether it lives
        _children.append(child.pid)
        recorded = Recorded(name, child.pid, start_time(child.pid) or 0, boot_id())
        with self.path.open("a") as ledger:
            ledger.write(json.dumps(asdict(recorded)) + "\n")
        return recorded

    def recorded(self) -> list[Recorded]:
        """What was started, whether or not it still runs; a line cut short by a crash is left out."""
        try:
            lines = self.path.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [Recorded(**json.loads(line)) for line in lines if line.endswith("}")]

    def alive(self) -> list[Recorded]:
        """What was started and still runs, with what only the mark shows."""
        known = [one for one in self.recorded() if is_alive(one)]
        pids = {one.pid for one in known}
        return known + [one for one in marked(self.mark) if one.pid not in pids]

    def named(self, *names: str) -> list[Recorded]:
        """The living processes of these names."""
        return [one for one in self.recorded() if one.name in names and is_alive(one)]
