"""The work queue: one entry per key, one worker per key, delays with jitter.

A key that is added while a worker has it is handed out again after that worker is done, so that no event is lost and
none is handled twice at once (the contract of client-go's workqueue).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

BASE_DELAY = 0.5
MAX_DELAY = 60.0


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One resource by name."""

    kind: Literal["pipeline", "tenant"]
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class WorkQueue:
    """Keys that wait for a worker. `clock` is monotonic, in seconds; `jitter` is drawn from [0, 1)."""

    def __init__(self, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._ready: dict[Key, float] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key) -> None:
        """Hand the key to a worker as soon as one is free."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        else:
            self._ready.setdefault(key, self._clock())
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key later; an earlier time that is set already stays."""
        due = self._clock() + seconds
        if key in self._ready or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key))
        self._wake.set()

    def retry(self, key: Key, retry_after: float | None = None) -> float:
        """Add the key after its back-off (doubling, jittered by half); returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(MAX_DELAY, BASE_DELAY * float(2 ** min(failures, 10)))
        delay = max(retry_after or 0.0, delay * (0.5 + self._jitter() / 2))
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """The key went well: its back-off starts anew."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The key that waits longest. Call `done` when its work is over."""
        while True:
            self._move_due()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._working.add(key)
                return key
            self._wake.clear()
            timeout = max(0.0, self._later[0][0] - self._clock()) if self._later else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """The worker is through with the key."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def clear(self) -> None:
        """Drop all that waits: another replica leads."""
        self._ready.clear()
        self._later.clear()
        self._due.clear()
        self._failures.clear()
        self._again.clear()

    def depth(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._ready)

    def age(self) -> float:
        """Seconds that the oldest waiting key has waited."""
        return max(0.0, self._clock() - min(self._ready.values())) if self._ready else 0.0

    def _move_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key)
