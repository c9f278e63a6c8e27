"""The work queue: one entry per key, one worker per key, delays with jitter, a lane per database.

A key that is added while a worker has it is handed out again after that worker is done, so that no event is lost and
none is handled twice at once (the contract of client-go's workqueue). A lane bounds how many of its keys are worked on
at once, so that a database that hangs holds up its own tenants and nobody else's; lanes take turns. Within a lane, what
an event asks for goes before what a resync looks at.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rag_operator.api.pipeline import RagPipeline
from rag_operator.api.tenant import RagTenant
from rag_operator.kube.client import Object
from rag_operator.kube.kinds import PIPELINE, Kind

BASE_DELAY = 0.5
MAX_DELAY = 60.0
WIDTH = 16
"""Reconciles at once of one lane: more than its database has connections, so that some talk to the API server
meanwhile. A call is dear to a server that has slept: at 16 a thousand tenants are made in 33 s, at 4 in 46."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One resource by name."""

    kind: Literal["pipeline", "tenant"]
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @classmethod
    def of(cls, resource: RagPipeline | RagTenant) -> Key:
        """The key of one that was parsed."""
        kind: Literal["pipeline", "tenant"] = "pipeline" if isinstance(resource, RagPipeline) else "tenant"
        return cls(kind, resource.metadata.namespace, resource.metadata.name)


def key_of(kind: Kind, live: Object) -> Key:
    """The key of one of our resources."""
    word: Literal["pipeline", "tenant"] = "pipeline" if kind is PIPELINE else "tenant"
    return Key(word, live["metadata"]["namespace"], live["metadata"]["name"])


def pipeline_key(tenant: Object) -> Key:
    """The key of the pipeline that a RagTenant names."""
    reference = tenant.get("spec", {}).get("pipelineRef", {})
    return Key(
        "pipeline", str(reference.get("namespace") or tenant["metadata"]["namespace"]), str(reference.get("name", ""))
    )


@dataclass(slots=True)
class Lane:
    """Keys of one lane that wait, each since when, and how many of its keys are being worked on."""

    urgent: dict[Key, float] = field(default_factory=dict)
    routine: dict[Key, float] = field(default_factory=dict)
    working: int = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self.urgent) + len(self.routine)

    def take(self) -> Key:
        """The next key: urgent ones first, each in the order in which they began to wait."""
        keys = self.urgent or self.routine
        key = next(iter(keys))
        del keys[key]
        return key

    def oldest(self, now: float) -> float:
        """When the key that waits longest began to; `now` where none waits."""
        return min([now, *self.urgent.values(), *self.routine.values()])


class WorkQueue:
    """Keys that wait for a worker. `clock` is monotonic, in seconds; `jitter` is drawn from [0, 1).

    `lane` tells where a key belongs at the moment; `width` is how many of a lane are worked on at once.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        lane: Callable[[Key], Key] = lambda key: key,
        width: int = WIDTH,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._lane_of = lane
        self._width = width
        self._lanes: dict[Key, Lane] = {}
        self._turns: dict[Key, None] = {}
        self._waiting: dict[Key, Key] = {}
        self._working: dict[Key, Key] = {}
        self._again: dict[Key, bool] = {}
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key, *, routine: bool = False) -> None:
        """Hand the key to a worker as soon as its lane has room; `routine` where nothing happened to it."""
        self._due.pop(key, None)
        if key in self._working:
            self._again[key] = routine and self._again.get(key, True)
            return
        since = self._clock()
        name = self._waiting.get(key)
        if name is not None:
            lane = self._lanes[name]
            if routine or key in lane.urgent:
                return
            since = lane.routine.pop(key)
        else:
            name = self._lane_of(key)
            lane = self._lanes.setdefault(name, Lane())
        self._waiting[key] = name
        (lane.routine if routine else lane.urgent)[key] = since
        self._offer(name)

    def add_after(self, key: Key, seconds: float) -> None:
        """Add the key later; an earlier time that is set already stays."""
        due = self._clock() + seconds
        if key in self._waiting or self._due.get(key, due + 1) <= due:
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
        """The next key of the lane whose turn it is. Call `done` when its work is over."""
        while True:
            self._move_due()
            if self._turns:
                return self._take()
            self._wake.clear()
            # No asyncio.timeout: where it expires in the very moment of the wake, Python 3.11 cancels the next wait.
            seconds = max(0.0, self._later[0][0] - self._clock()) if self._later else None
            alarm = asyncio.get_running_loop().call_later(seconds, self._wake.set) if seconds is not None else None
            try:
                await self._wake.wait()
            finally:
                if alarm:
                    alarm.cancel()

    def done(self, key: Key) -> None:
        """The worker is through with the key."""
        name = self._working.pop(key)
        self._lanes[name].working -= 1
        if key in self._again:
            self.add(key, routine=self._again.pop(key))
        self._offer(name)

    def clear(self) -> None:
        """Drop all that waits: another replica leads."""
        self._lanes = {name: Lane(working=lane.working) for name, lane in self._lanes.items() if lane.working}
        for waiting in (self._turns, self._waiting, self._later, self._due, self._failures, self._again):
            waiting.clear()

    def waiting(self) -> dict[tuple[str, str], tuple[int, float]]:
        """Keys that wait for a worker, and the seconds that the oldest has waited: by kind, and `event` or `resync`."""
        now = self._clock()
        found: dict[tuple[str, str], tuple[int, float]] = {}
        for lane in self._lanes.values():
            for cause, keys in (("event", lane.urgent), ("resync", lane.routine)):
                for key, since in keys.items():
                    number, oldest = found.get((key.kind, cause), (0, 0.0))
                    found[key.kind, cause] = (number + 1, max(oldest, now - since))
        return found

    def working(self) -> int:
        """Keys that a worker has now."""
        return len(self._working)

    def delayed(self) -> int:
        """Keys that wait for their time: after a back-off, or for their next look."""
        return len(self._due)

    def full_lanes(self) -> int:
        """Lanes with keys that wait because as many are being worked on as may be at once."""
        return sum(bool(lane.waiting) and lane.working >= self._width for lane in self._lanes.values())

    def stalled(self) -> float:
        """Seconds that a key has waited though its lane has room: more than moments means that nobody takes keys."""
        now = self._clock()
        return max([0.0, *(now - self._lanes[name].oldest(now) for name in self._turns)])

    def _take(self) -> Key:
        name = next(iter(self._turns))
        del self._turns[name]
        lane = self._lanes[name]
        key = lane.take()
        lane.working += 1
        del self._waiting[key]
        self._working[key] = name
        self._offer(name)
        return key

    def _offer(self, name: Key) -> None:
        """Give the lane a turn, where it has keys and room; forget it where it has nothing."""
        lane = self._lanes.get(name)
        if lane is None:
            return
        if lane.waiting and lane.working < self._width:
            self._turns.setdefault(name)
            self._wake.set()
        elif not lane.waiting and not lane.working:
            del self._lanes[name]

    def _move_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key, routine=True)
