"""What processes use of the machine, from /proc: CPU in seconds, memory in MiB."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Seconds of user and system time of a process."""
    return sum(_times(pid)[:2])


def rss(pid: int) -> int:
    """Resident memory of a process, in MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def family_seconds(pid: int) -> float:
    """CPU seconds of a process and all that descend from it, those that have ended too."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return sum(_times(pid)) + sum(family_seconds(int(child)) for child in children.read_text().split())
    except FileNotFoundError:
        return 0.0


def folder_seconds(folder: Path) -> float:
    """CPU seconds of the processes whose command line names the folder."""
    return sum(cpu_seconds(pid) for pid in _about(folder))


class Meter:
    """What several parties spend between two looks."""

    def __init__(self, **parties: Callable[[], float]) -> None:
        self._parties = parties
        self._spent = {name: look() for name, look in parties.items()}
        self._began = time.monotonic()

    def read(self) -> tuple[float, dict[str, float]]:
        """Seconds that passed, and CPU seconds by party, since it was made."""
        spent = {name: look() - self._spent[name] for name, look in self._parties.items()}
        return time.monotonic() - self._began, spent


def _times(pid: int) -> list[float]:
    """User and system time of a process; the same of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(field) / TICKS for field in fields[11:15]]


def _about(folder: Path) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
