"""What a test wants to go wrong: at the n-th write, and how. Writes are numbered as they leave the operator."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

ALL = os.environ.get("RAG_FAULTS") == "all"
"""Every point with every fault, and every weather: `make test-full`. Else a sample: `make test`."""
HELD_SECONDS = 600.0
"""A bound for what hangs: the test thaws it, at its end at the latest."""


class Fault(Enum):
    """What happens to one write."""

    DIE_BEFORE = "the process dies; the write never arrives"
    DIE_AFTER = "the write takes effect; the process dies before it hears of it"
    LOSE_ANSWER = "the write takes effect; the connection breaks before the answer; the process lives"
    FREEZE = "the process stops in its tracks; the write arrives when another leads and all has settled"


@dataclass(slots=True)
class Script:
    """Numbers every write, on whichever wire it leaves, and names the one that goes wrong.

    `kill` ends the process the hard way. Once it is dead no wire lets anything pass until `revive`.
    """

    kill: Callable[[], None] = lambda: None
    freeze: Callable[[], None] = lambda: None
    at: int = 0
    """The number of the write that goes wrong, from 1; 0 for none."""
    matching: str = ""
    """Part of the label of the write that goes wrong, instead of a number: the first such."""
    fault: Fault = Fault.DIE_BEFORE
    trace: list[str] = field(default_factory=list)
    fired: str = ""
    """The write that went wrong."""
    refused: int = 0
    """How many of the writes the API server found invalid or forbidden: they leave nothing, and are tried again."""
    late: int = 0
    """The API server's status for a write that arrived late."""
    under_way: int = 0
    """Writes that nothing goes wrong with and that the API server has not answered yet."""
    dead: threading.Event = field(default_factory=threading.Event)
    """No wire lets anything pass."""
    killed: threading.Event = field(default_factory=threading.Event)
    """The process has been sent its end too."""
    thawed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, label: str) -> Fault | None:
        """Count a write that is about to pass; how it goes wrong, if it does."""
        with self._lock:
            return self._numbered(label)

    def _numbered(self, label: str) -> Fault | None:
        self.trace.append(label)
        named = self.matching and self.matching in label and not self.fired
        if len(self.trace) != self.at and not named:
            return None
        self.fired = label
        return self.fault

    def disarm(self) -> None:
        """Let no further write go wrong."""
        with self._lock:
            self.at, self.matching = 0, ""

    def leaves(self, label: str) -> Fault | None:
        """`write`, of one that the API server may refuse: `answered` is told of it, unless it goes wrong."""
        with self._lock:
            fault = self._numbered(label)
            self.under_way += fault is None
            return fault

    def answered(self, *, refused: bool) -> None:
        """Such a write has come to its end."""
        with self._lock:
            self.under_way -= 1
            self.refused += refused

    @property
    def taken(self) -> int:
        """How many writes came to their end and were not refused: a resync offers anew what stays refused."""
        with self._lock:
            return len(self.trace) - self.refused - self.under_way

    def struck(self) -> bool:
        """Whether the fault is over: a process that is to die lives for a moment after its write was numbered."""
        deadly = self.fault in (Fault.DIE_BEFORE, Fault.DIE_AFTER)
        return bool(self.fired) and (self.killed.is_set() or not deadly)

    def die(self) -> None:
        """End the process now."""
        self.dead.set()
        self.kill()
        self.killed.set()

    async def held(self) -> None:
        """Freeze the process, and hold its write until the test thaws it."""
        self.freeze()
        await asyncio.to_thread(self.thawed.wait, HELD_SECONDS)

    def revive(self) -> None:
        """Let the next process's calls pass, undisturbed. The former one has ended by then."""
        self.at = 0
        self.killed.clear()
        self.dead.clear()
